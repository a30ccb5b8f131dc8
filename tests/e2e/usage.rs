//! What status says of how a mailbox is used.

use std::time::Duration;

use mail_operator::api::{MailSystem, Mailbox, MailboxUsage};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, World, eventually, run, unique},
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
