//! Tests of what becomes of log-ins.

use super::*;
use crate::{
    agent::{
        directory::testing::{self, PASSWORD},
        sockets::lockout::FAILURES,
    },
    operator::mailbox::password::{credential, generate},
};

async fn check(passwords: &Passwords, login: &str, password: &'static [u8]) -> Verdict {
    passwords.check(Service::Smtp, login.as_bytes(), &Secret::new(password), None).await
}

fn counted(passwords: &Passwords, outcome: Outcome) -> u64 {
    passwords.0.logins.get_or_create(&Labels { service: Service::Smtp, outcome }).get()
}

#[test]
fn nobodys_hash_costs_what_a_real_one_costs() {
    let chosen = credential("chosen by a person", false, String::new()).unwrap().hash;
    let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
    assert_eq!(cost(NOBODYS), cost(&chosen));
    let length = |hash: &str| PasswordHash::new(hash).unwrap().hash.unwrap().len();
    assert_eq!(length(NOBODYS), length(&chosen));
}

#[test]
fn a_wrong_password_costs_the_same_where_the_right_one_is_cheap() {
    let password = generate().unwrap();
    let cheap = credential(&password, true, String::new()).unwrap().hash;
    let time = |password: &str| {
        let start = Instant::now();
        let right = verify(&cheap, &Secret::new(password.to_owned())).unwrap();
        (right, start.elapsed())
    };
    let (right, quick) = time(&password);
    let (wrong, slow) = time("wrong");
    assert!(right && !wrong && slow > quick * 5, "{quick:?} {slow:?}");
}

#[tokio::test]
async fn only_the_right_password_of_an_active_mailbox_is_allowed() {
    let passwords = Passwords::new(testing::replica());
    let Verdict::Allowed(found) = check(&passwords, "An@X.vn", PASSWORD).await else { panic!("refused") };
    assert_eq!((found.address.as_str(), found.entry.store), ("an@x.vn", 0));
    for login in ["binh@x.vn", "chi@x.vn", "van-thu@x.vn", "nobody@x.vn", "an", "", "an@x.vn@x.vn"] {
        assert_eq!(check(&passwords, login, PASSWORD).await, Verdict::Denied, "{login}");
    }
    for password in [&b""[..], b"hunter2", b"hunter2 and %25 "] {
        assert_eq!(check(&passwords, "an@x.vn", password).await, Verdict::Denied);
    }
    assert_eq!(
        passwords.check(Service::Smtp, b"\xff@x.vn", &Secret::new(PASSWORD), None).await,
        Verdict::Denied
    );
    assert_eq!(counted(&passwords, Outcome::WrongPassword), 3);
    assert_eq!(counted(&passwords, Outcome::Suspended), 1);
    assert_eq!(counted(&passwords, Outcome::NoPassword), 1);
    assert_eq!(counted(&passwords, Outcome::UnknownAccount), 6);
}

#[tokio::test]
async fn nobody_is_refused_for_want_of_a_directory() {
    let passwords = Passwords::new(testing::empty());
    assert_eq!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Unavailable);
}

#[tokio::test]
async fn a_changed_password_holds_at_once_although_the_old_one_was_right_a_moment_ago() {
    let replica = testing::replica();
    let passwords = Passwords::new(replica.clone());
    assert!(matches!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Allowed(_)));
    testing::offer(&replica, 2, b"changed");
    assert_eq!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Denied);
    assert!(matches!(check(&passwords, "an@x.vn", b"changed").await, Verdict::Allowed(_)));
}

#[tokio::test]
async fn ten_wrong_passwords_lock_an_account_known_or_not_but_not_who_was_right_before() {
    let passwords = Passwords::new(testing::replica());
    assert!(matches!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Allowed(_)));
    for login in ["an@x.vn", "nobody@x.vn", "binh@x.vn"] {
        for _ in 0..FAILURES {
            assert_eq!(check(&passwords, login, b"wrong").await, Verdict::Denied);
        }
        assert_eq!(check(&passwords, login, b"wrong").await, Verdict::Locked);
    }
    assert!(matches!(check(&passwords, "an@x.vn", PASSWORD).await, Verdict::Allowed(_)));
    assert_eq!(passwords.0.locks.get(), 3);
}
