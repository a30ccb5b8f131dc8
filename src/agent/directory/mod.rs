//! The agents' copy of the directory.
//!
//! Secrets come in by name, from the API server ([`follow`]) and at the start from the disk; the [`Replica`] answers
//! from memory. The API server may be away at any time, the start included: what was seen last is what holds. Nothing
//! here writes to the cluster.

mod disk;
mod follow;
mod keeper;
mod replica;
mod state;

pub use disk::Disk;
pub(crate) use follow::watch_secret;
pub use follow::{follow, in_cluster};
pub use replica::{Found, Replica, Torn};
pub use state::Offer;

#[cfg(test)]
pub(crate) mod testing;
