//! Where mail goes that is not for the inbox of whom it was sent to.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use mail_operator::api::Mailbox;
use serde_json::{Value, json};

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, DOMAIN, World, eventually, run, unique},
};

const WAIT: Duration = Duration::from_mins(2);

async fn set(world: &World, account: &Account, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
}

async fn write(world: &World, to: &[&str]) -> String {
    let subject = unique("way");
    let text = message("dan@example.com", to[0], &subject, "x");
    let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", to, &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    subject
}

async fn count(world: &World, account: &Account, subject: &str) -> usize {
    imap::messages(world, account, subject).await.unwrap().len()
}

#[test]
fn mail_is_forwarded_with_a_copy_or_without_and_in_a_loop_it_stays() {
    run(async |world| {
        let chi = world.mailbox(json!({})).await;
        let binh = world.mailbox(json!({"forward": {"to": chi.address, "keepCopy": false}})).await;
        let alias = format!("{}@{DOMAIN}", unique("alias"));
        let an = world.mailbox(json!({"aliases": [alias], "forward": {"to": binh.address}})).await;
        // Once in each, however it was addressed.
        let subject = write(world, &[&alias, &an.address, &chi.address]).await;
        imap::wait_for(world, &an, &subject).await;
        imap::wait_for(world, &chi, &subject).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = (count(world, &an, &subject).await, count(world, &chi, &subject).await);
        assert_eq!((found, count(world, &binh, &subject).await), ((1, 1), 0));

        set(world, &chi, json!({"forward": {"to": an.address}})).await;
        for account in [&an, &binh, &chi] {
            let reason = world.condition::<Mailbox>(&account.name, "Ready", "False", WAIT).await;
            assert_eq!(reason, "ForwardLoop");
        }
        eventually(WAIT, "mail stays", async || {
            let subject = write(world, &[&binh.address]).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            match (count(world, &binh, &subject).await, count(world, &chi, &subject).await) {
                (1, 0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    });
}

#[test]
fn a_detail_chooses_a_folder_that_is_there() {
    run(async |world| {
        let alias = format!("{}@{DOMAIN}", unique("alias"));
        let an = world.mailbox(json!({"aliases": [alias]})).await;
        let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
        session.create("HopDong").await.unwrap();
        let with = |address: &str, detail: &str| address.replacen('@', &format!("+{detail}@"), 1);
        let filed = [
            write(world, &[&with(&an.address, "hopdong")]).await,
            write(world, &[&with(&alias, "HOPDONG")]).await,
        ];
        let inbox = write(world, &[&with(&an.address, "khong-co")]).await;
        imap::wait_for(world, &an, &inbox).await;
        for subject in filed {
            eventually(WAIT, "it is filed", async || {
                session.select("HopDong").await.map_err(|e| e.to_string())?;
                let found =
                    session.uid_search(format!("SUBJECT {subject}")).await.map_err(|e| e.to_string())?;
                if found.len() == 1 { Ok(()) } else { Err(format!("{found:?}")) }
            })
            .await;
            assert_eq!(count(world, &an, &subject).await, 0, "not in the inbox");
        }
        let mut smtp = Smtp::inbound(world).await.unwrap();
        let nobody = format!("{}+x@{DOMAIN}", unique("nobody"));
        let text = message("dan@example.com", &nobody, &unique("way"), "x");
        assert_eq!(smtp.send("dan@example.com", &[&nobody], &text).await.unwrap().code, 550);
    });
}
