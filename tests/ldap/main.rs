//! Passwords that a directory service knows, on a real `OpenLDAP`: who is let in, and that nobody is told "wrong" by anything
//! but the service's own word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod slapd;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mail_operator::{
    agent::{
        directory::{Offer, Replica},
        logins::Logins,
        sockets::passwords::{Passwords, Service, Verdict, ldap::Reason},
    },
    api::MailboxState,
    directory::{Entry, Index, Ldap, MailboxEntry, Naming, Searcher, Shard},
    names::SystemName,
    operator::mailbox::password::{credential, salt},
    wire::secret::Secret,
};
use slapd::{BASE, SEARCHER, Slapd, dn};
use tokio_util::task::AbortOnDropHandle;

/// Of a name with everything that a local part may have, and a password in Vietnamese.
const AN: (&str, &str) = ("an_b=c#d@x.vn", "mật khẩu, (*)\\ của An");
const BINH: (&str, &str) = ("binh@x.vn", "Bình's");

/// A gateway's passwords, with mailboxes of the domain `x.vn` and a directory service for it.
struct World {
    replica: Replica,
    passwords: Passwords,
    issued: u64,
    watch: Option<AbortOnDropHandle<()>>,
}

fn service(slapd: &Slapd) -> Ldap {
    Ldap {
        name: "province".into(),
        domains: vec!["x.vn".into()],
        urls: vec![slapd.tls()],
        ca: Some(slapd.ca.clone()),
        naming: search(SEARCHER.1),
        timeout: 2,
        fallback_local: false,
    }
}

fn search(password: &str) -> Naming {
    let by = Some(Searcher { dn: SEARCHER.0.into(), password: Some(password.into()) });
    Naming::Search { by, base: BASE.into(), filter: "(&(objectClass=inetOrgPerson)(mail={address}))".into() }
}

impl World {
    fn new(service: Ldap, people: &[(&str, &str)]) -> Self {
        let replica = Replica::new(SystemName::new("n", "s"));
        let passwords = Passwords::new(replica.clone(), Logins::open(Path::new("/nowhere")));
        let mut world = Self { replica, passwords, issued: 0, watch: None };
        world.serve(service);
        let hash =
            |password: &str, name: &str| credential(password, true, &salt(name), String::new()).unwrap();
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (person, _) in people {
            let app_passwords = [("phone".to_owned(), hash("the phone's", person))].into();
            let entry = MailboxEntry {
                state: MailboxState::Active,
                credential: Some(hash("the mailbox's own", person)),
                app_passwords,
                ..MailboxEntry::default()
            };
            entries.insert((*person).to_owned(), Entry::Mailbox(entry));
        }
        let own = MailboxEntry {
            own_password: true,
            credential: Some(hash("given", "own")),
            ..MailboxEntry::default()
        };
        entries.insert("own@x.vn".into(), Entry::Mailbox(own));
        entries.insert("shared@x.vn".into(), Entry::Mailbox(MailboxEntry::default()));
        assert_eq!(world.replica.offer_shard(1, 0, 1, Shard { entries, ..Shard::default() }), Offer::Taken);
        world
    }

    /// The service is configured anew, as after a changed Secret.
    fn serve(&mut self, service: Ldap) {
        self.issued += 1;
        let index = Index {
            shards: 1,
            domains: vec!["x.vn".into()],
            token_key: "ab".repeat(32),
            ldap: vec![Arc::new(service)],
            ..Index::default()
        };
        assert_eq!(self.replica.offer_index(self.issued, index), Offer::Taken);
    }

    /// Begins to ask the servers how they are.
    fn watch(&mut self) {
        let watching = self.passwords.services().watch(self.replica.clone());
        self.watch = Some(AbortOnDropHandle::new(tokio::spawn(watching)));
    }

    /// What is wrong with each server, once that is known.
    async fn troubles(&self) -> Vec<Option<Reason>> {
        let began = Instant::now();
        loop {
            if let Some(report) = self.passwords.services().reports().get("province") {
                return report.servers.iter().map(|it| it.trouble.as_ref().map(|it| it.reason)).collect();
            }
            assert!(began.elapsed() < Duration::from_secs(10), "nothing is told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn check(&self, person: &str, password: &str) -> Verdict {
        let password = Secret::new(password.as_bytes().to_vec());
        self.passwords.check(Service::Imap, person.as_bytes(), &password, Some([203, 0, 113, 7].into())).await
    }

    async fn lets_in(&self, person: &str, password: &str) -> bool {
        matches!(self.check(person, password).await, Verdict::Allowed(_))
    }
}

#[tokio::test]
async fn the_services_password_opens_and_nothing_else_does() {
    let slapd = Slapd::start(&[AN, BINH, ("shared@x.vn", "of the list"), ("own@x.vn", "there")]).await;
    for url in [slapd.tls(), slapd.plain()] {
        let world = World::new(Ldap { urls: vec![url], ..service(&slapd) }, &[AN, BINH]);
        let Verdict::Allowed(admission) = world.check(AN.0, AN.1).await else { panic!("refused") };
        let tags = world.replica.tags(AN.0, &admission.found.entry);
        assert!(tags.contains(&admission.tag) && admission.app.is_none());
        assert_eq!(tags.len(), 2, "the service's, and the phone's");
        assert!(world.lets_in(BINH.0, BINH.1).await);
        for (person, password) in [
            (AN.0, BINH.1),
            (AN.0, "the mailbox's own"),
            (AN.0, ""),
            ("own@x.vn", "there"),
            ("shared@x.vn", "of the list"),
            ("nobody@x.vn", "x"),
        ] {
            assert_eq!(world.check(person, password).await, Verdict::Denied, "{person} {password}");
        }
        assert!(world.lets_in("own@x.vn", "given").await, "given to the mailbox");
    }
}

#[tokio::test]
async fn an_empty_password_is_refused_though_the_server_says_success() {
    let slapd = Slapd::start(&[BINH]).await;
    let mut anybody = slapd.admin().await.unwrap();
    assert_eq!(anybody.simple_bind(&dn("binh"), "").await.unwrap().rc, 0, "RFC 4513, 5.1.2");
    for naming in [search(SEARCHER.1), Naming::Direct(format!("uid={{local}},{BASE}"))] {
        let world = World::new(Ldap { naming, ..service(&slapd) }, &[BINH]);
        assert_eq!(world.check(BINH.0, "").await, Verdict::Denied);
        assert!(world.lets_in(BINH.0, BINH.1).await);
    }
}

#[tokio::test]
async fn without_a_search_the_password_is_tried_under_the_name_that_the_template_gives() {
    let slapd = Slapd::start(&[AN, BINH]).await;
    let naming = Naming::Direct(format!("uid={{local}},{BASE}"));
    let world = World::new(Ldap { naming, ..service(&slapd) }, &[AN, BINH, ("gone@x.vn", "")]);
    assert!(world.lets_in(AN.0, AN.1).await && world.lets_in(BINH.0, BINH.1).await);
    assert_eq!(world.check(BINH.0, AN.1).await, Verdict::Denied);
    assert_eq!(world.check("gone@x.vn", "x").await, Verdict::Denied);
}

#[tokio::test]
async fn another_server_answers_for_one_that_is_away_or_frozen_and_with_none_nobody_is_refused() {
    let (mut first, second) = (Slapd::start(&[BINH]).await, Slapd::start(&[BINH]).await);
    let both = Ldap {
        urls: vec![first.tls(), second.tls()],
        ca: Some(format!("{}{}", first.ca, second.ca)),
        ..service(&first)
    };
    let world = World::new(both.clone(), &[BINH]);
    first.freeze(true);
    let began = Instant::now();
    assert!(world.lets_in(BINH.0, BINH.1).await);
    assert!(began.elapsed() < Duration::from_secs(2), "half of the deadline is the second server's");
    let began = Instant::now();
    assert_eq!(world.check(BINH.0, "wrong").await, Verdict::Denied);
    assert!(began.elapsed() < Duration::from_secs(1), "the frozen one is left alone");
    first.freeze(false);
    first.kill();
    let world = World::new(both.clone(), &[BINH]);
    assert!(world.lets_in(BINH.0, BINH.1).await);
    second.freeze(true);
    let world = World::new(both, &[BINH]);
    let began = Instant::now();
    for password in [BINH.1, "wrong", "wrong again"] {
        assert_eq!(world.check(BINH.0, password).await, Verdict::Unavailable);
    }
    assert!(began.elapsed() < Duration::from_secs(4), "one deadline, and then at once");
    assert!(world.lets_in(BINH.0, "the phone's").await, "app passwords need no service");
    second.freeze(false);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_or_of_another_host_is_told_and_nothing_is_sent_to_it() {
    let (slapd, other) = (Slapd::start(&[BINH]).await, Slapd::start(&[]).await);
    for (ca, url, reason) in [
        (other.ca.clone(), slapd.tls(), Reason::CertificateNotTrusted),
        (other.ca.clone(), slapd.plain(), Reason::CertificateNotTrusted),
        (slapd.ca.clone(), slapd.tls().replace("127.0.0.1", "localhost"), Reason::CertificateInvalid),
        (slapd.ca.clone(), slapd.tls().replace("127.0.0.1", "127.0.0.2"), Reason::Unreachable),
        (String::new(), slapd.tls(), Reason::Unusable),
    ] {
        let mut world =
            World::new(Ldap { ca: Some(ca), urls: vec![url.clone()], ..service(&slapd) }, &[BINH]);
        assert_eq!(world.check(BINH.0, BINH.1).await, Verdict::Unavailable, "{url}");
        world.watch();
        assert_eq!(world.troubles().await, [Some(reason)], "{url}");
    }
    // Where no TLS is spoken.
    let url = slapd.plain().replace("ldap:", "ldaps:");
    let world = World::new(Ldap { urls: vec![url], ..service(&slapd) }, &[BINH]);
    assert_eq!(world.check(BINH.0, BINH.1).await, Verdict::Unavailable);
    let mut world = World::new(service(&slapd), &[BINH]);
    world.watch();
    assert_eq!(world.troubles().await, [None]);
}

#[tokio::test]
async fn a_changed_password_of_the_searcher_counts_at_once_and_a_wrong_one_is_told() {
    let slapd = Slapd::start(&[BINH]).await;
    let mut world = World::new(service(&slapd), &[BINH]);
    assert!(world.lets_in(BINH.0, BINH.1).await);
    slapd.set_password(SEARCHER.0, "another").await;
    world.serve(Ldap { timeout: 3, ..service(&slapd) });
    assert_eq!(world.check(BINH.0, "x").await, Verdict::Unavailable);
    world.watch();
    assert_eq!(world.troubles().await, [Some(Reason::BindRefused)]);
    world.serve(Ldap { naming: search("another"), ..service(&slapd) });
    assert_eq!(world.check(BINH.0, "x").await, Verdict::Denied);
    world.serve(Ldap {
        naming: Naming::Search {
            by: None,
            base: "ou=nowhere,dc=x,dc=vn".into(),
            filter: "(mail={address})".into(),
        },
        ..service(&slapd)
    });
    assert_eq!(world.check(BINH.0, "y").await, Verdict::Unavailable, "a wrong base is no wrong password");
}

#[tokio::test]
async fn a_password_that_was_changed_there_counts_after_a_minute_at_most() {
    let slapd = Slapd::start(&[BINH]).await;
    let world = World::new(service(&slapd), &[BINH]);
    assert!(world.lets_in(BINH.0, BINH.1).await);
    slapd.set_password(&dn("binh"), "new").await;
    assert!(world.lets_in(BINH.0, "new").await, "the new one at once");
    // Another gateway has no memory of the former one.
    let other = World::new(service(&slapd), &[BINH]);
    assert_eq!(other.check(BINH.0, BINH.1).await, Verdict::Denied);
}

#[tokio::test]
async fn ten_wrong_passwords_lock_a_source_out_as_with_passwords_of_ones_own() {
    let slapd = Slapd::start(&[BINH]).await;
    let world = World::new(service(&slapd), &[BINH]);
    for n in 0..10 {
        assert_eq!(world.check(BINH.0, &format!("w{n}")).await, Verdict::Denied);
    }
    assert_eq!(world.check(BINH.0, BINH.1).await, Verdict::Locked);
}

#[tokio::test]
async fn the_mailboxs_own_password_counts_only_where_it_may_and_the_service_does_not_know_better() {
    let mut slapd = Slapd::start(&[BINH]).await;
    let fallback = Ldap { fallback_local: true, ..service(&slapd) };
    let world = World::new(fallback.clone(), &[AN, BINH]);
    assert!(world.lets_in(AN.0, "the mailbox's own").await, "not known there");
    assert_eq!(world.check(BINH.0, "the mailbox's own").await, Verdict::Denied, "known there");
    slapd.kill();
    assert!(World::new(fallback, &[BINH]).lets_in(BINH.0, "the mailbox's own").await, "not to be asked");
}

#[tokio::test]
async fn when_the_service_suddenly_knows_far_fewer_people_nobody_is_told_that_a_password_is_wrong() {
    let names: Vec<String> = (0..12).map(|n| format!("u{n}@x.vn")).collect();
    let people: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "right")).collect();
    let slapd = Slapd::start(&people).await;
    let world = World::new(service(&slapd), &people);
    for (person, password) in &people {
        assert!(world.lets_in(person, password).await, "{person}");
    }
    // One who left is told.
    slapd.replace(&people[1..]).await;
    assert_eq!(world.check("u0@x.vn", "as before").await, Verdict::Denied);
    slapd.replace(&[]).await;
    let mut told = Vec::new();
    for (person, _) in &people[1..] {
        told.push(world.check(person, "as before").await);
    }
    let denied = told.iter().filter(|verdict| **verdict == Verdict::Denied).count();
    assert!(denied <= 1, "{told:?}");
    assert_eq!(told.last(), Some(&Verdict::Unavailable));
    let mut world = world;
    world.watch();
    assert_eq!(world.troubles().await, [None], "the server itself is well");
    let seen = world.passwords.services().reports()["province"].people;
    assert!(seen.implausible && seen.asked == 12 && seen.missing == 12, "{seen:?}");
    // Who never logged in is told as ever.
    assert_eq!(world.check("nobody@x.vn", "x").await, Verdict::Denied);

    slapd.replace(&people).await;
    for (person, _) in &people[1..] {
        assert_eq!(world.check(person, "wrong").await, Verdict::Denied, "{person}");
    }
    assert!(world.lets_in("u1@x.vn", "right").await);
    assert!(!world.passwords.services().reports()["province"].people.implausible);
}
