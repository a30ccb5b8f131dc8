//! MailRestore: mail comes back from a backup, carried out once, by a Job for each shard of a snapshot.
//!
//! ```text
//!  find ─▶ resolve (pure) ─▶ snapshot, MailBackup ┐
//!  Jobs, pods, logs ─look─▶ ShardJob ─────────────┴─▶ turn ─▶ Lease, objects, Jobs ─▶ outcome (pure) ─▶ status, Events
//! ```
//!
//! What was begun is in `status.phase` and in the Jobs: an operator that is started anew goes on from there. What ended is
//! never begun again. Objects that went along come back first ([`objects`]), if that is asked for.

mod context;
mod controller;
mod fetch;
pub mod objects;
mod objects_first;
mod outcome;
mod problem;
mod reconcile;
mod resolve;
mod shards;
mod turn;

pub use context::Settings;
pub use controller::run;
