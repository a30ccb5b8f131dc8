//! What becomes of what a client sends, with a directory and without Valkey.

use super::*;
use crate::agent::directory::testing::{self, PASSWORD};

/// Nothing answers at this address.
const NOWHERE: &str = "127.0.0.1:1";

fn sending(change: impl FnOnce(&mut crate::directory::MailboxEntry)) -> Sending {
    let replica = testing::replica();
    testing::offer_with(&replica, 2, PASSWORD, change);
    Sending::new(replica, NOWHERE)
}

async fn ask(sending: &Sending, state: &'static str, login: &'static str, instance: &'static str) -> String {
    let (state, login, instance) = (state.into(), login.into(), instance.into());
    let request = Request { state, login, instance, ..Request::default() };
    match sending.judge(&request).await {
        Action::Dunno => "DUNNO".into(),
        Action::Answer(text) => text.split(' ').take(2).collect::<Vec<_>>().join(" "),
    }
}

#[tokio::test]
async fn a_mailbox_is_refused_over_its_limit_and_told_to_the_operator_far_over_it() {
    let sending = sending(|entry| entry.limits.messages_per_hour = Some(2));
    for _ in 0..2 {
        assert_eq!(ask(&sending, "DATA", "An@X.vn", "1").await, "DUNNO");
    }
    for _ in 0..5 {
        assert_eq!(ask(&sending, "DATA", "an@x.vn", "1").await, "450 4.7.1");
    }
    assert!(sending.bulk().is_empty());
    assert_eq!(ask(&sending, "DATA", "an@x.vn", "1").await, "450 4.7.1");
    assert_eq!(sending.bulk().keys().collect::<Vec<_>>(), ["an@x.vn"]);
    for (state, login) in [("DATA", "chi@x.vn"), ("DATA", ""), ("DATA", "store"), ("MAIL", "an@x.vn")] {
        assert_eq!(ask(&sending, state, login, "1").await, "DUNNO", "{login}");
    }
}

#[tokio::test]
async fn recipients_are_counted_for_each_message() {
    let sending = sending(|entry| entry.limits.recipients_per_message = Some(2));
    for (instance, expected) in [("1", "DUNNO"), ("1", "DUNNO"), ("1", "452 4.5.3"), ("2", "DUNNO")] {
        assert_eq!(ask(&sending, "RCPT", "an@x.vn", instance).await, expected);
    }
    assert_eq!(ask(&sending, "DATA", "an@x.vn", "1").await, "DUNNO");
    assert_eq!(ask(&sending, "RCPT", "an@x.vn", "1").await, "DUNNO", "a further message");
}

#[tokio::test]
async fn a_suspended_mailbox_sends_nothing_and_without_a_directory_nothing_is_known() {
    let suspended = sending(|entry| entry.sending_suspended = Some(7));
    assert_eq!(ask(&suspended, "RCPT", "an@x.vn", "1").await, "550 5.7.1");
    let unknown = Sending::new(testing::empty(), NOWHERE);
    assert_eq!(ask(&unknown, "RCPT", "an@x.vn", "1").await, "451 4.3.0");
}
