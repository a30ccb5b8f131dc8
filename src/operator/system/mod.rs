//! The MailSystem controller: fetch → validate → desired → apply → status, one file for each step.
//!
//! A MailSystem comes in by name; objects in its namespace and its status go out. It is run again when one of its objects
//! changes, when a certificate it names does, when storage classes do and when its mailboxes were counted anew; while
//! something is missing, every [`RETRY`] besides. What stands already is not applied again ([`memory`]). It never sleeps, and an object that it cannot read is a matter of that
//! object alone.

pub mod audit;
pub mod availability;
pub mod backups;
pub mod certificate;
mod context;
mod controller;
pub mod explain;
pub mod fetch;
pub mod journal;
pub mod ldap;
pub mod memory;
pub mod metrics;
pub mod pair;
pub mod problems;
mod reconcile;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod validated;
pub mod values;
pub mod workloads;

pub use context::{Context, ReconcileError};
pub use controller::run;
pub use metrics::Metrics;
pub use reconcile::RETRY;
