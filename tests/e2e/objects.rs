//! Objects change, and the daemons answer accordingly.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use mail_operator::api::{MailDomain, Mailbox};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{domain, eventually, parse, run, unique},
};

#[test]
fn a_password_from_a_secret_is_used_its_change_takes_effect_and_its_loss_locks_nobody_out() {
    run(async |world| {
        let secret = unique("password");
        let set = |password: &str| {
            parse::<Secret>(json!({"metadata": {"name": secret}, "stringData": {"password": password}}))
        };
        world.apply(set("mật-khẩu-1")).await;
        let an = world.mailbox(json!({"passwordSecret": {"name": secret}})).await;
        imap::log_in(world, &an.address, "mật-khẩu-1").await.unwrap();
        world.apply(set("mật-khẩu-2")).await;
        eventually(Duration::from_secs(30), "the new password", async || {
            imap::log_in(world, &an.address, "mật-khẩu-2").await.map(drop).map_err(|e| e.to_string())
        })
        .await;
        assert!(imap::log_in(world, &an.address, "mật-khẩu-1").await.is_err());
        world.api::<Secret>().delete(&secret, &DeleteParams::default()).await.unwrap();
        let reason = world.condition::<Mailbox>(&an.name, "Ready", "False", Duration::from_mins(1)).await;
        assert_eq!(reason, "SecretNotFound");
        imap::log_in(world, &an.address, "mật-khẩu-2").await.expect("the last known password");
    });
}

#[test]
fn a_mailbox_whose_domain_appears_later_converges() {
    run(async |world| {
        let (name, zone) = (unique("d"), format!("{}.example.vn", unique("zone")));
        let address = format!("an@{zone}");
        world
            .apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": {"address": address}})))
            .await;
        let wait = Duration::from_mins(1);
        assert_eq!(world.condition::<Mailbox>(&name, "Ready", "False", wait).await, "DomainNotFound");
        world.apply(parse::<MailDomain>(domain(&name, &zone))).await;
        world.ready::<Mailbox>(&name, wait).await;
        eventually(wait, "mail for the new domain", async || {
            let mut smtp = Smtp::inbound(world).await.map_err(|e| e.to_string())?;
            let text = message("dan@example.com", &address, "first", "x");
            let reply = smtp.send("dan@example.com", &[&address], &text).await.map_err(|e| e.to_string())?;
            if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
    });
}

#[test]
fn a_quota_below_use_refuses_new_mail_and_loses_none() {
    run(async |world| {
        let an = world.mailbox(json!({"quota": "4Mi"})).await;
        let subject = unique("large");
        let body = "0123456789abcdef0123456789abcdef0123456789abcdef\n".repeat(50_000);
        let text = message("dan@example.com", &an.address, &subject, &body);
        let reply =
            Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        imap::wait_for(world, &an, &subject).await;
        let patch = Patch::Merge(json!({"spec": {"quota": "1Mi"}}));
        world.api::<Mailbox>().patch(&an.name, &PatchParams::default(), &patch).await.unwrap();
        world.ready::<Mailbox>(&an.name, Duration::from_mins(1)).await;
        eventually(Duration::from_mins(1), "the new quota in the store", async || {
            let mut session =
                imap::log_in(world, &an.address, &an.password).await.map_err(|e| e.to_string())?;
            let (_, quotas) = session.get_quota_root("INBOX").await.map_err(|e| e.to_string())?;
            let limits: Vec<u64> = quotas.iter().flat_map(|q| &q.resources).map(|r| r.limit).collect();
            if limits.contains(&1024) { Ok(()) } else { Err(format!("{limits:?}")) }
        })
        .await;
        // Over quota, Cyrus answers SELECT with a warning that the client library takes for a refusal.
        let patch = Patch::Merge(json!({"spec": {"quota": "8Mi"}}));
        world.api::<Mailbox>().patch(&an.name, &PatchParams::default(), &patch).await.unwrap();
        imap::wait_for(world, &an, &subject).await;
    });
}

#[test]
fn a_second_claim_of_an_address_is_refused_and_names_the_winner() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        // Of two from the same second the one whose name comes first counts as the older.
        let name = unique("z-late");
        world
            .apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": {"address": an.address}})))
            .await;
        let reason = world.condition::<Mailbox>(&name, "Ready", "False", Duration::from_mins(1)).await;
        assert_eq!(reason, "AddressConflict");
        let status = world.api::<Mailbox>().get(&name).await.unwrap().status.unwrap();
        assert!(status.conditions[0].message.contains(&an.name), "{:?}", status.conditions);
        imap::log_in(world, &an.address, &an.password).await.unwrap();
    });
}
