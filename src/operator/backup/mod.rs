//! MailBackup and MailSnapshot: backups are made, proven and kept in order by Jobs, one thing at a time for each MailBackup.
//!
//! ```text
//!  fetch ─▶ validate ─▶ Validated ┐
//!  Jobs, pods, logs ─look─▶ ShardJob ─┴─▶ decide: begin │ go on │ end ─▶ turn ─▶ Lease, Jobs, status.running
//!                                                              │
//!        MailSnapshots ◀─ view ◀─ listings ◀─ outcome ◀────────┘─▶ history, conditions, Events
//! ```
//!
//! What runs is in `status.running` and in the Jobs, nowhere else: an operator that is started anew goes on from there. What a
//! pod said at its end is kept on its Job. MailSnapshots are a view of the repositories: [`snapshots`] makes them from what
//! Jobs list, and a deleted one comes back. [`lease`] keeps two of anything from working on one place. [`inventory`] gathers
//! the objects that go along.

pub(super) mod context;
pub(super) mod controller;
pub mod decide;
mod ending;
mod events;
pub mod fetch;
mod going;
pub mod inventory;
pub mod jobs;
pub mod keeping;
pub mod lease;
pub mod look;
pub mod metrics;
mod orphans;
pub mod outcome;
pub mod place;
pub mod progress;
pub mod reasons;
pub(super) mod reconcile;
mod snapshot_object;
pub mod snapshots;
pub mod source;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
mod turn;
pub mod validate;
pub mod validated;
pub mod words;
pub mod work;
pub(super) mod write;

pub use context::Settings;
pub use controller::run;
pub use metrics::{Board, Figures};
pub use place::Place;
