//! How long after `apply` a mailbox works, and where the time goes.
//!
//! A refused log-in is answered after two seconds, on purpose, so log-ins cannot be used to look for the moment. A
//! gateway is asked at RCPT instead, until it knows the address; then comes one log-in, over IMAP with TLS, to a mailbox
//! that Cyrus does not have yet. Should that be refused (the gateway behind it does not have the mailbox yet), its two
//! seconds are in the figure.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use mail_operator::api::Mailbox;
use serde_json::json;

use crate::{
    figures::{Times, row},
    imap, issues,
    smtp::Smtp,
    world::{DOMAIN, World, parse, unique},
};

const ROUNDS: usize = 100;
const PASSWORD: &str = "a long password of the bench";
/// Postfix slows a client down after ten errors.
const ERRORS: usize = 8;
const PAUSE: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_mins(2);

/// Applies mailboxes one after another, and logs in to each. `among` says what else is there.
pub(crate) async fn latency(world: &World, among: &str) {
    let secret = unique("bench");
    let password = json!({"metadata": {"name": secret}, "stringData": {"password": PASSWORD}});
    world.apply(parse::<Secret>(password)).await;
    let issues = issues::watch(world);
    let (mut written, mut known, mut usable) = (Times::default(), Times::default(), Times::default());
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let name = unique("b");
        let address = format!("{name}@{DOMAIN}");
        let spec = json!({"address": address, "passwordSecret": {"name": secret}});
        let smtp = greeted(world).await;
        let began = Instant::now();
        world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
        known_at_rcpt(world, smtp, &address, began).await;
        known.push(began.elapsed());
        while imap::log_in(world, &address, PASSWORD).await.is_err() {
            refused += 1;
            assert!(began.elapsed() < LIMIT, "no login within two minutes");
        }
        usable.push(began.elapsed());
        written.push(issues.of(&address).await - began);
    }
    row(&format!("apply to login, {among}"), &usable.quantiles());
    row("of these: until the directory with its password is written", &written.quantiles());
    row("of these: until a gateway knows the address", &known.quantiles());
    row("log-ins refused because the other gateway was behind", &format!("{refused} of {ROUNDS}"));
}

/// A session in which recipients can be asked for.
async fn greeted(world: &World) -> Smtp {
    let mut smtp = Smtp::plain(world.address(25)).await.expect("a session");
    let reply = smtp.command("MAIL FROM:<dan@example.com>").await.expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}");
    smtp
}

async fn known_at_rcpt(world: &World, mut smtp: Smtp, address: &str, began: Instant) {
    let mut errors = 0;
    while smtp.command(&format!("RCPT TO:<{address}>")).await.expect("a reply").code != 250 {
        assert!(began.elapsed() < LIMIT, "{address} is not known within two minutes");
        errors += 1;
        if errors % ERRORS == 0 {
            smtp = greeted(world).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
