//! A model of one shard around the operator's own decision function, for exhaustive search.
//!
//! Two stores with a disk each, one Lease, gateways, and one change by a user that must not get lost. Time goes in ticks of
//! three seconds, so that the default timings are whole ticks: a primary without contact fences itself at the second, a
//! Lease expires and a peer counts as silent at the third. Everything else happens between two ticks in any order. Answers
//! to votes and compare-and-swaps may get lost; beats are as old as the last tick.
//!
//! Faults cost one each of a budget; repairs are free and may come at any moment. Each rule has a [`Mutant`] that takes it
//! away, and a test that shows that the search then finds a violation.
//!
//! Left out: mail itself (the journal makes up for what one disk had), both disks lost, and what Cyrus does inside.

// Compiled from its sources: the search wants optimised code, and needs nothing else of the operator.
#[path = "../../../src/failover/mod.rs"]
pub mod failover;

mod actions;
mod fair;
mod model;
mod mutant;
mod properties;
mod renumber;
mod state;
mod tick;
mod user;
mod votes;

pub use actions::Action;
pub use model::{Fault, Report, Shard, check};
pub use mutant::Mutant;
pub use properties::Promise;
pub use state::Backup;
