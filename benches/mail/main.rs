//! What the project promises in figures, measured on the cluster that KUBECONFIG names. Prints a table for
//! docs/benchmarks.md. Machines are noisy: read the ratios within one run.
//!
//!     cargo bench --bench mail -- [apply] [bulk] [path]        (all without arguments)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Counts are small, and figures are rounded anyway.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "../../tests/e2e/imap.rs"]
#[allow(dead_code)]
mod imap;
#[path = "../../tests/e2e/s3.rs"]
#[allow(dead_code)]
mod s3;
#[path = "../../tests/e2e/smtp.rs"]
#[allow(dead_code)]
mod smtp;
#[path = "../../tests/e2e/world.rs"]
#[allow(dead_code)]
mod world;

/// The shared system has no journal: plain daemons have none either.
pub(crate) const JOURNAL: bool = false;

mod apply;
mod bulk;
mod figures;
mod issues;
mod operator;
mod path;
mod writes;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let want = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    println!("| figure | value |\n|---|---|");
    if want("apply") {
        world::run(async |world| {
            bulk::apply_many(world, 100).await;
            bulk::until_made(world).await;
            apply::latency(world, "100 mailboxes present").await;
        });
    }
    if want("bulk") {
        world::run(async |world| {
            bulk::apply_many(world, 10_000).await;
            apply::latency(world, "10,000 mailboxes served, some of which Cyrus makes beside this").await;
            bulk::until_made(world).await;
            apply::latency(world, "10,000 mailboxes present").await;
            operator::restart(world).await;
        });
    }
    if want("path") {
        world::run(async |world| path::compare(world).await);
    }
}
