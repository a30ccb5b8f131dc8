//! A directory service that the gateways ask from inside the cluster: a real `OpenLDAP` beside it, on the host.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use mail_operator::api::{MailDomain, MailSystem, Mailbox};
use serde_json::{Value, json};

use crate::{
    imap,
    slapd::{BASE, SEARCHER, Slapd, dn},
    smtp::{Smtp, message},
    world::{Account, World, domain, eventually, parse, run, unique},
};

/// The host's address for the pods of the local cluster.
const HOST: &str = "10.78.0.1";
const WAIT: Duration = Duration::from_mins(2);

/// Directory services of the shared system from now on.
async fn services(world: &World, ldap: Value) {
    let patch = Patch::Merge(json!({"spec": {"authentication": {"ldap": ldap}}}));
    world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
}

async fn secret(world: &World, name: &str, data: Value) {
    world.apply(parse::<Secret>(json!({"metadata": {"name": name}, "stringData": data}))).await;
}

/// The code with which a log-in for submission is answered.
async fn answered(world: &World, address: &str, password: &str) -> Result<u16, String> {
    let smtp = Smtp::submission_without_log_in(world).await;
    let mut smtp = smtp.map_err(|error| error.to_string())?;
    smtp.auth(address, password).await.map(|reply| reply.code).map_err(|error| error.to_string())
}

async fn is_answered(world: &World, account: &Account, password: &str, code: u16) {
    eventually(WAIT, &format!("{code} for {}", account.address), async || {
        let found = answered(world, &account.address, password).await?;
        if found == code {
            return Ok(());
        }
        // A wrong password too often is a guess.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Err(found.to_string())
    })
    .await;
}

#[test]
fn people_log_in_with_the_password_of_a_directory_service_and_are_told_to_wait_while_it_is_away() {
    run(async |world| {
        // A domain of its own: nobody else's password is asked of the service.
        let (name, of) = (unique("ldap"), format!("{}.example.vn", unique("ldap")));
        let (address, password) = (format!("an@{of}"), "mật khẩu, (*)\\ của An");
        let mut slapd = Slapd::start_at(HOST, &[(&*address, password)]).await;
        let (ca, searcher) = (unique("ca"), unique("searcher"));
        secret(world, &ca, json!({"ca.crt": slapd.ca})).await;
        secret(world, &searcher, json!({"password": SEARCHER.1})).await;
        services(
            world,
            json!([{
                "name": name, "domains": [of], "urls": [slapd.tls()], "caSecret": ca,
                "bind": {"dn": SEARCHER.0, "passwordSecret": {"name": searcher}}, "search": {"baseDN": BASE},
                "timeoutSeconds": 3,
            }]),
        )
        .await;
        world.apply(parse::<MailDomain>(domain(&name, &of))).await;
        world.ready::<MailDomain>(&name, WAIT).await;
        let an = Account { address: address.clone(), ..world.mailbox(json!({"address": address})).await };
        world.condition::<MailSystem>("mail", "DirectoryServiceHealthy", "True", WAIT).await;

        is_answered(world, &an, password, 235).await;
        imap::log_in(world, &an.address, password).await.unwrap();
        // The generated password opens nothing, as long as the service knows better.
        assert_eq!(answered(world, &an.address, &an.password).await.unwrap(), 535);
        let binh = world.mailbox(json!({})).await;
        assert_eq!(answered(world, &binh.address, &binh.password).await.unwrap(), 235, "not its domain");

        slapd.set_password(&dn("an"), "another one").await;
        is_answered(world, &an, "another one", 235).await;

        // Away: nobody is told that a password is wrong, and mail goes on arriving.
        slapd.kill();
        is_answered(world, &an, "a third one", 454).await;
        world.condition::<MailSystem>("mail", "DirectoryServiceHealthy", "False", WAIT).await;
        let subject = unique("ldap");
        let text = message("dan@example.com", &an.address, &subject, "x");
        let sent = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await;
        assert_eq!(sent.unwrap().code, 250);
        slapd.start_again().await;
        is_answered(world, &an, "another one", 235).await;
        let reader = Account { password: "another one".to_owned(), ..an };
        imap::wait_for(world, &reader, &subject).await;

        // Without the service the generated password is the mailbox's.
        services(world, json!([])).await;
        let generated = world.api::<Secret>().get(&format!("{}-credentials", reader.name)).await.unwrap();
        let generated = String::from_utf8(generated.data.unwrap()["password"].0.clone()).unwrap();
        is_answered(world, &reader, &generated, 235).await;
        world.ready::<Mailbox>(&reader.name, WAIT).await;
    });
}
