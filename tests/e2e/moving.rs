//! A mailbox's address changes; its mail, and whoever writes to it, do not notice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use kube::api::{Patch, PatchParams};
use mail_operator::api::{MailDomain, Mailbox};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, DOMAIN, World, domain, eventually, parse, run, unique},
};

const WAIT: Duration = Duration::from_mins(2);

async fn rename(world: &World, account: &Account, address: &str) -> Account {
    let patch = Patch::Merge(json!({"spec": {"address": address}}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
    Account { name: account.name.clone(), address: address.to_owned(), password: account.password.clone() }
}

/// Sends until told to stop, to an address that changes its mailbox meanwhile; gives the subjects that were taken.
async fn write(world: &World, to: &str, stop: &AtomicBool) -> Vec<String> {
    let mut taken = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let subject = unique("flight");
        let text = message("dan@example.com", to, &subject, "x");
        let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[to], &text).await.unwrap();
        match reply.code {
            250 => taken.push(subject),
            // What is asked to come again bounces nowhere.
            450..=459 => {}
            _ => panic!("{reply:?}"),
        }
    }
    taken
}

async fn all_there(world: &World, account: &Account, subjects: &[String]) {
    eventually(WAIT, "all mail is there", async || {
        let mut session =
            imap::log_in(world, &account.address, &account.password).await.map_err(|e| e.to_string())?;
        session.select("INBOX").await.map_err(|e| e.to_string())?;
        for subject in subjects {
            let found =
                session.uid_search(format!("SUBJECT \"{subject}\"")).await.map_err(|e| e.to_string())?;
            if found.len() != 1 {
                return Err(format!("{subject}: {found:?}"));
            }
        }
        Ok(())
    })
    .await;
}

#[test]
fn mail_follows_its_owner_to_another_address_while_others_write_and_nothing_is_lost() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let mut idle = imap::log_in(world, &an.address, &an.password).await.unwrap();
        idle.select("INBOX").await.unwrap();
        let mut idle = idle.idle();
        idle.init().await.unwrap();
        let (waiting, _stop) = idle.wait_with_timeout(WAIT);
        let stop = AtomicBool::new(false);
        let moving = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let moved = rename(world, &an, &format!("{}@{DOMAIN}", unique("le"))).await;
            world.ready::<Mailbox>(&an.name, WAIT).await;
            eventually(WAIT, "log-in by the new address", async || {
                imap::log_in(world, &moved.address, &moved.password)
                    .await
                    .map(drop)
                    .map_err(|e| e.to_string())
            })
            .await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            stop.store(true, Ordering::Relaxed);
            moved
        };
        let (subjects, moved) = tokio::join!(write(world, &an.address, &stop), moving);
        assert!(subjects.len() > 3, "{subjects:?}");
        all_there(world, &moved, &subjects).await;
        // Its session was ended, and the former address logs nobody in.
        let ended = tokio::time::timeout(WAIT, waiting).await.expect("the session goes on");
        assert!(!format!("{ended:?}").contains("Timeout"), "{ended:?}");
        assert!(imap::log_in(world, &an.address, &an.password).await.is_err());
        // It sends under both.
        for from in [&moved.address, &an.address] {
            let mut smtp = Smtp::submissions(world, &moved.address, &moved.password).await.unwrap();
            let text = message(from, &moved.address, &unique("own"), "x");
            assert_eq!(smtp.send(from, &[&moved.address], &text).await.unwrap().code, 250, "{from}");
        }
        let status = world.api::<Mailbox>().get(&an.name).await.unwrap().status.unwrap();
        assert_eq!(status.address.as_deref(), Some(&*moved.address));
        assert_eq!(status.former_addresses[0].address, an.address);
    });
}

#[test]
fn a_mailbox_moves_to_another_domain_and_not_to_an_address_that_another_has() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let subject = unique("before");
        let text = message("dan@example.com", &an.address, &subject, "x");
        let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await;
        assert_eq!(reply.unwrap().code, 250);
        imap::wait_for(world, &an, &subject).await;

        rename(world, &an, &binh.address).await;
        let reason = world.condition::<Mailbox>(&an.name, "Ready", "False", WAIT).await;
        assert_eq!(reason, "RenameRefused");
        assert_eq!(imap::messages(world, &an, &subject).await.unwrap().len(), 1, "it stays where it is");
        assert!(imap::messages(world, &binh, &subject).await.unwrap().is_empty());

        let name = unique("so");
        world.apply(parse::<MailDomain>(domain(&name, &format!("{name}.gov.vn")))).await;
        let moved = rename(world, &an, &format!("an@{name}.gov.vn")).await;
        world.ready::<Mailbox>(&an.name, WAIT).await;
        imap::wait_for(world, &moved, &subject).await;
    });
}
