//! The only code of the MailSystem controller that writes to the API: server-side apply in order, status, events, the
//! lease. Nothing is pruned: every object of a system is wanted for as long as the system is (shards do not shrink), and
//! what belongs to a deleted one goes with its owner, except for volumes.

pub mod apply;
pub mod events;
pub mod lease;
pub mod status;
