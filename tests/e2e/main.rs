//! The whole path on a real cluster: objects are applied, mail goes in over SMTP and comes back over IMAP.
//!
//! The cluster is the one that KUBECONFIG names, with mail-operator installed (`cluster/install`). Every test uses
//! mailboxes of its own in one shared mail system; a test that takes parts of that system away holds it alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The shared system has a journal.
pub(crate) const JOURNAL: bool = true;

mod imap;
mod life;
mod local;
mod plugin;
mod s3;
mod sending;
mod sieve;
mod smtp;
mod world;

/// As `tests/ldap` has it, which uses more of it.
#[allow(dead_code)]
#[path = "../ldap/slapd.rs"]
mod slapd;

mod audit;
mod authenticity;
mod backup;
mod control_plane;
mod credentials;
mod delivery;
mod dkim;
mod failover;
mod faults;
mod forwarding;
mod groups;
mod journal;
mod ldap;
mod limits;
mod moving;
mod objects;
mod refusals;
mod sharing;
mod tenants;
mod usage;
