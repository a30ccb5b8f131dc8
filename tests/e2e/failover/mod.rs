//! Continuous availability: a shard with two stores loses a process, a pod, a disk, a node or the API server, and its mail
//! goes on. Whatever is done, under load:
//!
//! - every message that was accepted is read exactly once afterwards, and what was deleted before stays deleted;
//! - two stores never serve at the same time, and every start of service is a later epoch;
//! - the longest time in which nobody could read, or send, is printed as a row for docs/benchmarks.md.
//!
//! ```text
//!  story ── under load ─┬─ pair    the system, its stores' roles, what is done to them
//!                       ├─ load    sends and reads through each gateway, and measures gaps
//!                       ├─ watch   asks both stores all the time who serves
//!                       └─ ledger  compares what was accepted with what is read
//! ```
//!
//! These tests take nodes and the API server away, so each runs alone. They share one system; after a test that failed the
//! next makes a new one, and what the pods logged is kept where the output says.

mod ask;
mod evidence;
mod ledger;
mod load;
mod pair;
mod roles;
mod story;
mod watch;

mod around;
mod chaos;
mod grow;
mod losses;
mod nodes;
mod pods;
mod switchover;
mod two_stores;

use std::time::Duration;

/// Longest time in which nobody can read through a gateway that works. The goal is 15 s; slow machines are no failure.
const GAP: Duration = Duration::from_mins(1);
/// Longest wait until two stores are one that serves and one that has everything: a volume may have to be seeded.
const SETTLED: Duration = Duration::from_mins(8);
/// Longest wait until somebody serves.
const SERVES: Duration = Duration::from_mins(2);
