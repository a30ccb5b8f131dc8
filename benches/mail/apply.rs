//! How long after `apply` an owner can log in.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use mail_operator::api::Mailbox;
use serde_json::json;

use crate::{
    figures::{quantile, row},
    imap,
    world::{World, parse, unique},
};

const ROUNDS: usize = 100;

/// Applies mailboxes one after another while `present` others are there, and logs in to each.
pub(crate) async fn latency(world: &World, present: usize) {
    let secret = unique("bench");
    let password =
        json!({"metadata": {"name": secret}, "stringData": {"password": "a long password of the bench"}});
    world.apply(parse::<Secret>(password)).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let name = unique("b");
        let address = format!("{name}@{}", crate::world::DOMAIN);
        let spec = json!({"address": address, "passwordSecret": {"name": secret}});
        world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
        let applied = Instant::now();
        while imap::log_in(world, &address, "a long password of the bench").await.is_err() {
            assert!(applied.elapsed() < Duration::from_mins(2), "no login within two minutes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.push(applied.elapsed());
    }
    let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    row(&format!("apply to login, {present} mailboxes present"), &format!("p50 {p50} ms, p99 {p99} ms"));
}
