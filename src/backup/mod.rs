//! Backups: what can be decided and read without a cluster.
//!
//! ```text
//!  schedule ─▶ a run is due
//!  frozen spool ─▶ manifest ─┐
//!               ─▶ restic ───┴─▶ judge ─▶ success, or one reason
//!  snapshots in the repository ─▶ retention ─▶ ids to forget
//! ```
//!
//! [`schedule`], [`manifest`], [`judge`], [`retention`], [`snapshots`], [`tags`] and, in [`restic`], all but the process are pure. What reads a
//! store's volume is in [`agent::store::backup`](crate::agent::store::backup). The format of manifests is in `docs/backup-format.md`.

pub mod judge;
pub mod manifest;
pub mod restic;
pub mod retention;
pub mod schedule;
pub mod snapshots;
pub mod tags;
