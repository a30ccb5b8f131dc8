//! Backups of a store's volume.
//!
//! ```text
//!  /data ──freeze──▶ /data/.frozen/RUN ──survey──▶ manifest in it ──restic──▶ repository ──▶ judge
//! ```
//!
//! Cyrus runs on while the volume is frozen, which takes a copy of what Cyrus changes and a link to each message, since
//! messages are never changed. All of it is undone at the end, and what a crash left is removed by the next run.
//! Nothing calls this yet.

pub mod check;
pub mod freeze;
mod lacking;
mod local;
pub mod run;
pub mod survey;
#[cfg(test)]
mod testing;

/// The folder of frozen copies, on the volume.
pub const FROZEN: &str = ".frozen";
/// The folder of a frozen copy that has the manifest.
pub const MANIFEST: &str = "manifest";
