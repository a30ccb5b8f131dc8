//! Mail comes back: a message, a folder, a mailbox, elsewhere; nothing twice, nothing instead of what was asked for.

use futures::TryStreamExt;
use kube::api::{Patch, PatchParams};
use mail_operator::api::{Mailbox, restore::RestorePhase};
use serde_json::{Value, json};

use super::{
    LONG,
    vault::{Vault, reason, restore},
};
use crate::{
    imap::{self, Owner},
    world::{Account, World, run, unique},
};

const FOLDER: &str = "Công văn/2026";

/// A mailbox with two messages in a folder, the first flagged and dated, and one in the inbox.
async fn filled(world: &World) -> (Account, Owner, String) {
    let an = world.mailbox(json!({})).await;
    let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
    let subject = unique("vb");
    // IMAP names folders in modified UTF-7.
    let folder = imap::name(FOLDER);
    session.create(&folder).await.unwrap();
    session.subscribe(&folder).await.unwrap();
    let flags = Some(r"(\Seen \Flagged $Khan)");
    let date = Some(r#""01-Mar-2026 08:00:00 +0700""#);
    for n in 1..=2 {
        session.append(&folder, flags, date, text(&an, &subject, n)).await.unwrap();
    }
    session.append("INBOX", None, None, text(&an, &subject, 3)).await.unwrap();
    (an, session, subject)
}

fn text(an: &Account, word: &str, n: u32) -> String {
    format!(
        "From: Bình <binh@example.com>\r\nTo: {}\r\nSubject: {word} {n}\r\nMessage-ID: <{word}.{n}@example.com>\r\nDate: Sun, 01 Mar 2026 08:00:00 +0700\r\n\r\nKính gửi {n}.\r\n",
        an.address
    )
}

/// Each message of a folder: its text, flags that matter, and date.
async fn content(session: &mut Owner, folder: &str) -> Vec<(String, Vec<String>, String)> {
    session.select(imap::name(folder)).await.unwrap();
    let fetched: Vec<_> = session
        .fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap_or_default();
    let mut all: Vec<_> = fetched
        .iter()
        .map(|message| {
            let mut flags: Vec<_> = message.flags().map(|flag| format!("{flag:?}")).collect();
            flags.retain(|flag| !flag.contains("Recent"));
            flags.sort();
            let date = message.internal_date().map(|date| date.to_rfc3339()).unwrap_or_default();
            (String::from_utf8_lossy(message.body().unwrap_or_default()).into_owned(), flags, date)
        })
        .collect();
    all.sort();
    all
}

/// Removes all that a folder has, for good as far as its owner can.
async fn empty(session: &mut Owner, folder: &str) {
    session.select(imap::name(folder)).await.unwrap();
    let _: Vec<_> =
        session.store("1:*", r"+FLAGS.SILENT (\Deleted)").await.unwrap().try_collect().await.unwrap();
    let _: Vec<_> = session.expunge().await.unwrap().try_collect().await.unwrap();
}

fn from(run: &str, address: &str, more: &Value) -> Value {
    let mut spec = json!({"from": {"snapshot": run}, "mailboxes": {"addresses": [address]}});
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    spec
}

#[test]
fn what_was_lost_comes_back_as_it_was_and_only_once() {
    run(async |world| {
        let (an, mut session, word) = filled(world).await;
        let vault = Vault::new(world, json!({})).await;
        let run = vault.proven().await;
        let (folder, inbox) = (content(&mut session, FOLDER).await, content(&mut session, "INBOX").await);
        assert_eq!((folder.len(), inbox.len()), (2, 1));
        empty(&mut session, FOLDER).await;
        empty(&mut session, "INBOX").await;

        let one = json!({"messages": {"messageId": format!("{word}.1@example.com")}});
        let dry = restore(
            world,
            from(&run, &an.address, &{
                let mut dry = one.clone();
                dry["dryRun"] = true.into();
                dry
            }),
        )
        .await;
        assert_eq!((dry.phase, dry.restored), (RestorePhase::Succeeded, Some(1)), "{dry:?}");
        assert!(content(&mut session, FOLDER).await.is_empty(), "it only tells");
        assert!(dry.examples.iter().any(|line| line.contains(&format!("{word} 1"))), "{dry:?}");

        let status = restore(world, from(&run, &an.address, &one)).await;
        assert_eq!((status.phase, status.restored), (RestorePhase::Succeeded, Some(1)), "{status:?}");
        assert_eq!(content(&mut session, FOLDER).await, folder[..1]);
        let again = restore(world, from(&run, &an.address, &one)).await;
        assert_eq!((again.restored, again.skipped), (Some(0), Some(1)), "{again:?}");

        let whole = restore(world, from(&run, &an.address, &json!({}))).await;
        assert_eq!((whole.restored, whole.skipped, whole.failed), (Some(2), Some(1), Some(0)), "{whole:?}");
        assert_eq!(content(&mut session, FOLDER).await, folder);
        assert_eq!(content(&mut session, "INBOX").await, inbox);
    });
}

#[test]
fn a_folder_comes_into_another_mailbox_below_a_folder() {
    run(async |world| {
        let (an, mut session, _) = filled(world).await;
        let binh = world.mailbox(json!({})).await;
        let vault = Vault::new(world, json!({})).await;
        let run = vault.proven().await;
        let before = content(&mut session, FOLDER).await;
        let target = json!({"mailbox": binh.address, "folder": "Của An"});
        let more = json!({"messages": {"folder": FOLDER}, "target": target});
        let status = restore(world, from(&run, &an.address, &more)).await;
        assert_eq!((status.phase, status.restored), (RestorePhase::Succeeded, Some(2)), "{status:?}");
        let mut other = imap::log_in(world, &binh.address, &binh.password).await.unwrap();
        assert_eq!(content(&mut other, &format!("Của An/{FOLDER}")).await, before);
        assert_eq!(content(&mut session, FOLDER).await, before, "and is where it was");
    });
}

#[test]
fn no_match_is_a_failure_that_names_what_is_near() {
    run(async |world| {
        let (an, _session, word) = filled(world).await;
        let vault = Vault::new(world, json!({})).await;
        let run = vault.proven().await;
        let other = json!({"messages": {"subject": format!("{word} 9")}});
        let status = restore(world, from(&run, &an.address, &other)).await;
        assert_eq!(status.phase, RestorePhase::Failed);
        assert_eq!(reason(&status), "NothingMatches", "{status:?}");
        let folder = json!({"messages": {"folder": "Công văn/2025"}});
        let status = restore(world, from(&run, &an.address, &folder)).await;
        assert_eq!(reason(&status), "NothingMatches", "{status:?}");
        assert!(status.examples.iter().any(|line| line.contains(FOLDER)), "{status:?}");
        let status = restore(world, from(&run, "khong-ai@angiang.gov.vn", &json!({}))).await;
        assert_eq!((status.phase, reason(&status)), (RestorePhase::Failed, "NothingMatches"), "{status:?}");
    });
}

#[test]
fn what_no_restore_has_proven_needs_a_word() {
    run(async |world| {
        let (an, mut session, _) = filled(world).await;
        let vault = Vault::new(world, json!({"verify": {"mode": "None"}})).await;
        let run = vault.run().await;
        assert_eq!(run.reason, "Succeeded", "{run:?}");
        empty(&mut session, "INBOX").await;
        let status = restore(world, from(&run.run, &an.address, &json!({}))).await;
        assert_eq!((status.phase, reason(&status)), (RestorePhase::Failed, "SnapshotNotVerified"));
        let status = restore(world, from(&run.run, &an.address, &json!({"allowUnverified": true}))).await;
        assert_eq!((status.restored, status.skipped), (Some(1), Some(2)), "{status:?}");
        assert_eq!(content(&mut session, "INBOX").await.len(), 1);
    });
}

#[test]
fn a_mailbox_that_is_full_says_what_to_do_and_takes_all_once_there_is_room() {
    run(async |world| {
        let (an, _session, _) = filled(world).await;
        let small = world.mailbox(json!({"quota": "1Mi"})).await;
        let mut session = imap::log_in(world, &small.address, &small.password).await.unwrap();
        // Less room is left than the smallest message takes.
        let filler = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat((1 << 20) - 50));
        session.append("INBOX", None, None, filler).await.unwrap();
        let vault = Vault::new(world, json!({})).await;
        let run = vault.proven().await;
        let elsewhere = json!({"target": {"mailbox": small.address, "folder": "Của An"}});
        let status = restore(world, from(&run, &an.address, &elsewhere)).await;
        assert_eq!((status.phase, reason(&status)), (RestorePhase::Failed, "QuotaExceeded"), "{status:?}");
        assert_eq!((status.restored, status.failed), (Some(0), Some(3)), "{status:?}");

        let more = Patch::Merge(json!({"spec": {"quota": "10Mi"}}));
        world.api::<Mailbox>().patch(&small.name, &PatchParams::default(), &more).await.unwrap();
        world.ready::<Mailbox>(&small.name, LONG).await;
        let status = restore(world, from(&run, &an.address, &elsewhere)).await;
        assert_eq!((status.restored, status.failed), (Some(3), Some(0)), "{status:?}");
        let mut session = imap::log_in(world, &small.address, &small.password).await.unwrap();
        assert_eq!(content(&mut session, &format!("Của An/{FOLDER}")).await.len(), 2);
    });
}
