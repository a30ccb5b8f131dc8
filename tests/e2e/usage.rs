//! What status says of how a mailbox is used.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_operator::api::{MailSystem, Mailbox, MailboxUsage};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, DOMAIN, World, eventually, run, unique},
};

const WAIT: Duration = Duration::from_mins(3);

/// Waits until status says of the account's use what is expected.
async fn told(
    world: &World,
    account: &Account,
    what: &str,
    expected: impl Fn(&MailboxUsage) -> bool,
) -> MailboxUsage {
    eventually(WAIT, &format!("{what} of {}", account.address), async || {
        let found = world.api::<Mailbox>().get(&account.name).await.map_err(|e| e.to_string())?;
        let usage = found.status.unwrap_or_default().usage.unwrap_or_default();
        if expected(&usage) { Ok(usage) } else { Err(format!("{usage:?}")) }
    })
    .await
}

#[test]
fn status_tells_what_a_mailbox_holds_and_when_it_received_sent_and_was_read() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let empty = told(world, &an, "nothing", |usage| usage.messages == Some(0)).await;
        assert_eq!((empty.used.as_deref(), empty.unseen), (Some("0Ki"), Some(0)));
        assert!(empty.last_received.is_none() && empty.last_login.is_none() && empty.last_sent.is_none());

        let subject = unique("usage");
        let text = message("dan@example.com", &an.address, &subject, &"0123456789\r\n".repeat(2000));
        let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await;
        assert_eq!(reply.unwrap().code, 250);
        let held = told(world, &an, "a message", |usage| usage.messages == Some(1)).await;
        let kib: u64 = held.used.unwrap().strip_suffix("Ki").unwrap().parse().unwrap();
        assert!((23..40).contains(&kib), "{kib} KiB");
        assert_eq!(held.unseen, Some(1));
        assert!(held.last_received.is_some() && held.oldest_unseen == held.last_received);
        assert!(held.last_login.is_none(), "nobody read it");

        imap::wait_for(world, &an, &subject).await;
        let read = told(world, &an, "a log-in", |usage| usage.last_login.is_some()).await;
        assert!(read.last_logins.imap == read.last_login && read.last_logins.submission.is_none());

        let binh = world.mailbox(json!({})).await;
        let text = message(&an.address, &binh.address, &unique("usage"), "x");
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        assert_eq!(smtp.send(&an.address, &[&binh.address], &text).await.unwrap().code, 250);
        let sent = told(world, &an, "a message sent", |usage| usage.last_sent.is_some()).await;
        assert!(sent.last_sent >= sent.last_received);
        told(world, &binh, "a message", |usage| usage.messages == Some(1)).await;
    });
}

#[test]
fn a_review_that_is_due_and_a_quota_nearly_full_are_conditions_and_the_system_counts_them() {
    run(async |world| {
        let an = world.mailbox(json!({"quota": "1Mi", "reviewBy": "2020-02-29"})).await;
        let reason = world.condition::<Mailbox>(&an.name, "ReviewDue", "True", WAIT).await;
        assert_eq!(reason, "DateReached");
        let text =
            message("dan@example.com", &an.address, &unique("usage"), &"0123456789\r\n".repeat(82_000));
        let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await;
        assert_eq!(reply.unwrap().code, 250);
        let reason = world.condition::<Mailbox>(&an.name, "QuotaLeft", "False", WAIT).await;
        assert_eq!(reason, "NearlyFull");
        eventually(WAIT, "the system's review", async || {
            let system = world.api::<MailSystem>().get("mail").await.map_err(|e| e.to_string())?;
            let review = system.status.unwrap_or_default().review.ok_or("no review")?;
            let counted = review.review_due >= 1 && review.nearly_full >= Some(1) && review.total >= 1;
            if counted { Ok(()) } else { Err(format!("{review:?}")) }
        })
        .await;
    });
}

/// Sends so many lines of twelve bytes.
async fn fill(world: &World, account: &Account, lines: usize) {
    let body = "0123456789\r\n".repeat(lines);
    let text = message("dan@example.com", &account.address, &unique("usage"), &body);
    let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&account.address], &text).await;
    assert_eq!(reply.unwrap().code, 250);
}

/// The text of a message in base64.
fn decoded(message: &str) -> String {
    let (_, body) = message.split_once("\r\n\r\n").unwrap();
    String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
}

#[test]
fn the_owner_of_a_mailbox_that_is_nearly_full_or_full_is_told_once_by_mail() {
    run(async |world| {
        let small = json!({"quota": "1Mi"});
        let (nearly, full) = (world.mailbox(small.clone()).await, world.mailbox(small).await);
        // Cyrus takes one message beyond the quota, and no other.
        fill(world, &nearly, 82_000).await;
        fill(world, &full, 100_000).await;
        for (account, subject, sizes, english) in [
            (&nearly, "Your mailbox is nearly full", "trên hạn mức 1,0 MiB (9", "of its 1.0 MiB (9"),
            (&full, "Your mailbox is full", "1,1 MiB trên hạn mức 1,0 MiB (11", "1.1 MiB of its 1.0 MiB (11"),
        ] {
            let letter = eventually(WAIT, &format!("{subject} in {}", account.address), async || {
                let found = imap::messages(world, account, subject).await.map_err(|e| e.to_string())?;
                found.into_iter().next().ok_or_else(|| "not there".to_owned())
            })
            .await;
            assert!(letter.contains(&format!("<postmaster@{DOMAIN}>")), "{letter}");
            assert!(letter.contains("Auto-Submitted: auto-generated") && letter.contains("Return-Path: <>"));
            let text = decoded(&letter);
            assert!(
                text.contains(sizes) && text.contains(english) && text.contains(&account.address),
                "{text}"
            );
        }
        // The full one takes nothing else, and nobody is told twice.
        let subject = unique("usage");
        let text = message("dan@example.com", &full.address, &subject, "x");
        let reply =
            Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&full.address], &text).await;
        assert_eq!(reply.unwrap().code, 250);
        tokio::time::sleep(Duration::from_mins(1)).await;
        // Some sessions begin with an alert of the quota, which the client takes for a refusal.
        for (account, subject, count) in
            [(&full, subject.as_str(), 0), (&nearly, "Your mailbox is", 1), (&full, "Your mailbox is", 1)]
        {
            eventually(WAIT, &format!("{count} of {subject}"), async || {
                let found = imap::messages(world, account, subject).await.map_err(|e| e.to_string())?;
                if found.len() == count { Ok(()) } else { Err(format!("{} are there", found.len())) }
            })
            .await;
        }
    });
}
