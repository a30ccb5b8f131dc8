//! Tests of what becomes of log-ins.

use super::*;
use crate::{
    agent::directory::testing::{self, PASSWORD},
    api::Protocol,
    directory::Credential,
};

const HOME: [u8; 4] = [203, 0, 113, 1];

fn passwords(replica: Replica) -> Passwords {
    Passwords::new(replica, Logins::open(std::path::Path::new("/nowhere")))
}

async fn check(passwords: &Passwords, login: &str, password: &[u8]) -> Verdict {
    check_from(passwords, login, password, HOME).await
}

async fn check_from(passwords: &Passwords, login: &str, password: &[u8], from: [u8; 4]) -> Verdict {
    let password = Secret::new(password.to_vec());
    passwords.check(Service::Smtp, login.as_bytes(), &password, Some(from.into())).await
}

fn allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allowed(_))
}

fn counted(passwords: &Passwords, outcome: Outcome) -> u64 {
    passwords.0.metrics.logins(Service::Smtp, outcome)
}

#[tokio::test]
async fn only_the_right_password_of_an_active_mailbox_is_allowed() {
    let passwords = passwords(testing::replica());
    let Verdict::Allowed(found) = check(&passwords, "An@X.vn", PASSWORD).await else { panic!("refused") };
    let Admission { found, app, .. } = found;
    assert_eq!((found.address.as_str(), found.entry.store, app), ("an@x.vn", 0, None));
    for login in ["binh@x.vn", "chi@x.vn", "van-thu@x.vn", "nobody@x.vn", "an", "", "an@x.vn@x.vn"] {
        assert_eq!(check(&passwords, login, PASSWORD).await, Verdict::Denied, "{login}");
    }
    for password in [&b""[..], b"hunter2", b"hunter2 and %25 "] {
        assert_eq!(check(&passwords, "an@x.vn", password).await, Verdict::Denied);
    }
    let secret = Secret::new(PASSWORD);
    let broken = passwords.check(Service::Smtp, b"\xff@x.vn", &secret, None);
    assert_eq!(broken.await, Verdict::Denied);
    assert_eq!(counted(&passwords, Outcome::WrongPassword), 3);
    assert_eq!(counted(&passwords, Outcome::Suspended), 1);
    assert_eq!(counted(&passwords, Outcome::NoPassword), 1);
    assert_eq!(counted(&passwords, Outcome::UnknownAccount), 6);
    let page = passwords.0.logins.since(0, 10);
    assert_eq!(page.logins.len(), 1, "refusals are no log-ins");
    assert!(page.logins[0].account.last(crate::api::Protocol::Submission).is_some());
}

#[tokio::test]
async fn nobody_is_refused_for_want_of_a_directory() {
    assert_eq!(check(&passwords(testing::empty()), "an@x.vn", PASSWORD).await, Verdict::Unavailable);
}

#[tokio::test]
async fn a_changed_password_holds_at_once_although_the_old_one_was_right_a_moment_ago() {
    let replica = testing::replica();
    let passwords = passwords(replica.clone());
    assert!(allowed(&check(&passwords, "an@x.vn", PASSWORD).await));
    assert_eq!(check(&passwords, "an@x.vn", b"changed").await, Verdict::Denied);
    testing::offer(&replica, 2, b"changed");
    assert_eq!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Denied);
    assert!(allowed(&check(&passwords, "an@x.vn", b"changed").await));
}

#[tokio::test]
async fn app_passwords_open_like_the_main_one_until_they_are_taken_out() {
    let replica = testing::replica();
    let passwords = passwords(replica.clone());
    testing::offer_with(&replica, 2, PASSWORD, |entry| {
        let phone = Credential { hash: testing::hash(b"the phone's"), source: String::new() };
        entry.app_passwords.insert("phone".into(), phone);
    });
    for (password, name) in [(&b"the phone's"[..], Some("phone")), (PASSWORD, None)] {
        for _ in 0..2 {
            let Verdict::Allowed(admission) = check(&passwords, "an@x.vn", password).await else {
                panic!("refused")
            };
            assert_eq!(admission.app.as_deref(), name);
        }
    }
    let page = passwords.0.logins.since(0, 10);
    assert!(page.logins[0].account.apps["phone"].contains_key(&Protocol::Submission));
    for n in 0..9 {
        assert_eq!(
            check(&passwords, "an@x.vn", &[b'w', n]).await,
            Verdict::Denied,
            "counted once, not twice"
        );
    }
    assert!(allowed(&check(&passwords, "an@x.vn", b"the phone's").await));
    testing::offer(&replica, 3, PASSWORD);
    let elsewhere = [203, 0, 113, 2];
    assert_eq!(check_from(&passwords, "an@x.vn", b"the phone's", elsewhere).await, Verdict::Denied);
    assert!(allowed(&check_from(&passwords, "an@x.vn", PASSWORD, elsewhere).await));
}

#[tokio::test]
async fn a_mailbox_is_used_in_the_ways_that_it_names() {
    let replica = testing::replica();
    let passwords = passwords(replica.clone());
    testing::offer_with(&replica, 2, PASSWORD, |entry| entry.protocols = vec![Protocol::Imap]);
    assert_eq!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Denied);
    let secret = Secret::new(PASSWORD);
    assert!(allowed(&passwords.check(Service::Imap, b"an@x.vn", &secret, None).await));
    assert_eq!(counted(&passwords, Outcome::WrongProtocol), 1);
}

#[tokio::test]
async fn ten_different_wrong_passwords_lock_a_source_at_an_account_known_or_not() {
    let passwords = passwords(testing::replica());
    for login in ["an@x.vn", "nobody@x.vn", "binh@x.vn"] {
        for n in 0..10 {
            assert_eq!(check(&passwords, login, &[b'w', n]).await, Verdict::Denied);
        }
        assert_eq!(check(&passwords, login, b"wrong").await, Verdict::Locked);
    }
    assert_eq!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Locked);
    assert!(allowed(&check_from(&passwords, "an@x.vn", PASSWORD, [203, 0, 113, 2]).await));
    assert_eq!(passwords.0.metrics.locks(lockout::Scope::Pair), 3);
}

#[tokio::test]
async fn an_old_password_that_a_mail_client_repeats_locks_nobody_out() {
    let passwords = passwords(testing::replica());
    for _ in 0..100 {
        assert_eq!(check(&passwords, "an@x.vn", b"old").await, Verdict::Denied);
    }
    assert!(allowed(&check(&passwords, "an@x.vn", PASSWORD).await));
    assert_eq!(counted(&passwords, Outcome::WrongPassword), 100);
}

#[tokio::test]
async fn strangers_cannot_lock_out_an_owner_who_was_here_before() {
    let passwords = passwords(testing::replica());
    assert!(allowed(&check(&passwords, "an@x.vn", PASSWORD).await));
    // The owner is asked again, not recognised.
    *lock(&passwords.0.recent) = Recent::default();
    for n in 0..20 {
        assert_eq!(check_from(&passwords, "an@x.vn", b"guess", [198, 51, 100, n]).await, Verdict::Denied);
        *lock(&passwords.0.recent) = Recent::default();
    }
    assert_eq!(check_from(&passwords, "an@x.vn", PASSWORD, [198, 51, 100, 99]).await, Verdict::Locked);
    assert!(allowed(&check(&passwords, "an@x.vn", PASSWORD).await));
    assert_eq!(passwords.0.metrics.locks(lockout::Scope::Account), 1);
}

#[tokio::test]
async fn a_flood_is_told_to_come_later_and_leaves_room_for_who_was_here_before() {
    let passwords = passwords(testing::replica());
    assert!(allowed(&check(&passwords, "an@x.vn", PASSWORD).await));
    *lock(&passwords.0.recent) = Recent::default();
    let flood = (0..100_u8).map(|n| {
        let passwords = passwords.clone();
        async move { check_from(&passwords, &format!("u{n}@x.vn"), b"guess", [198, 51, 100, 1]).await }
    });
    let (flood, owner) =
        tokio::join!(futures::future::join_all(flood), check(&passwords, "an@x.vn", PASSWORD));
    assert!(allowed(&owner));
    let later = flood.iter().filter(|verdict| **verdict == Verdict::Unavailable).count();
    assert_eq!((later, flood.len() - later), (68, 32));
    assert_eq!(counted(&passwords, Outcome::Busy), 68);
    assert_eq!(passwords.0.queue.len(), 0);
}
