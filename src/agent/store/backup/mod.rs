//! Backups of a store's volume.
//!
//! ```text
//!  /data ──freeze──▶ /data/.frozen/RUN ──survey──▶ manifest in it ──restic──▶ repository ──▶ judge
//! ```
//!
//! Cyrus runs on while the volume is frozen, which takes a copy of what Cyrus changes and a link to each message, since
//! messages are never changed. All of it is undone at the end, and what a crash left is removed by the next run.
//! [`agent::job`](crate::agent::job) calls it, in a pod of its own that has the store's volume as well.

pub mod check;
pub mod freeze;
mod hold;
mod lacking;
mod local;
mod objects;
pub mod run;
mod select;
mod steps;
pub mod survey;
#[cfg(test)]
pub(in crate::agent) mod testing;

pub(in crate::agent) use self::local::folders;

/// The folder of frozen copies, on the volume.
pub const FROZEN: &str = ".frozen";
/// The folder of a frozen copy that has the manifest.
pub const MANIFEST: &str = "manifest";
/// The folder of a frozen copy that has the objects that go along.
pub const OBJECTS: &str = "objects";
