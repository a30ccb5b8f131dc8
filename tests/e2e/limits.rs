//! Limits of a domain, as other mail servers meet them.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use mail_operator::api::{MailDomain, Mailbox};
use serde_json::json;

use crate::{
    smtp::Smtp,
    world::{World, domain, eventually, parse, run, unique},
};

const SOON: Duration = Duration::from_mins(2);

/// What another server is told that writes to this address.
async fn recipient(world: &World, address: &str) -> Result<u16, String> {
    let mut smtp = Smtp::inbound(world).await.map_err(|error| error.to_string())?;
    let sender = smtp.command("MAIL FROM:<dan@example.com>").await.map_err(|error| error.to_string())?;
    assert_eq!(sender.code, 250);
    Ok(smtp.command(&format!("RCPT TO:<{address}>")).await.map_err(|error| error.to_string())?.code)
}

async fn eventually_says(world: &World, address: &str, code: u16) {
    eventually(SOON, &format!("mail for {address} is answered {code}"), async || {
        let said = recipient(world, address).await?;
        if said == code { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
}

#[test]
fn a_mailbox_beyond_the_limit_of_its_domain_does_not_exist_for_others_until_there_is_room() {
    run(async |world| {
        let name = unique("limits");
        let mut object = domain(&name, &format!("{name}.example.vn"));
        object["spec"]["limits"] = json!({"mailboxes": 1});
        object["spec"]["dnsCheck"] = json!(false);
        world.apply(parse::<MailDomain>(object)).await;
        world.ready::<MailDomain>(&name, SOON).await;
        let address = |n: u8| format!("u{n}@{name}.example.vn");
        for n in 1..=2 {
            let spec = json!({"metadata": {"name": format!("{name}-{n}")}, "spec": {"address": address(n)}});
            world.apply(parse::<Mailbox>(spec)).await;
            let (status, expected) =
                if n == 1 { ("True", "Served") } else { ("False", "DomainLimitReached") };
            let reason = world.condition::<Mailbox>(&format!("{name}-{n}"), "Ready", status, SOON).await;
            assert_eq!(reason, expected);
        }
        eventually_says(world, &address(1), 250).await;
        eventually_says(world, &address(2), 550).await;

        let more = Patch::Merge(json!({"spec": {"limits": {"mailboxes": 2}}}));
        world.api::<MailDomain>().patch(&name, &PatchParams::default(), &more).await.unwrap();
        world.ready::<Mailbox>(&format!("{name}-2"), SOON).await;
        eventually_says(world, &address(2), 250).await;
        for n in 1..=2 {
            world.api::<Mailbox>().delete(&format!("{name}-{n}"), &DeleteParams::default()).await.unwrap();
        }
        world.api::<MailDomain>().delete(&name, &DeleteParams::default()).await.unwrap();
    });
}
