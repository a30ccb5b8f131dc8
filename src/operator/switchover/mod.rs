//! Who is primary, as the operator sees it. The stores' agents decide that among themselves; this observes, labels and tells,
//! and decides nothing.
//!
//! ```text
//!  `/status` of both agents of a shard ─┐                    ┌─▶ judge ──▶ conditions and status.shards of the MailSystem
//!                                       ├─look─▶ Shard ─▶ Board ─▶ metrics
//!  the shard's Lease ───────────────────┘          └─▶ labels of the pods, Events
//! ```
//!
//! One task ([`Watcher`]) does it for all systems whose shards have two stores: every two seconds while anything is not at
//! rest, every five else. What a system's status is made of changes at once when somebody's role does, and slowly when only
//! figures do ([`Board`]).

pub mod board;
pub mod judge;
pub mod labels;
mod lease;
mod look;
mod metrics;
pub mod observe;
pub mod turns;
mod watcher;

pub use board::Board;
pub use lease::LeaseSeen;
pub use look::{known, look};
pub use metrics::Figures;
pub use observe::{Shard, Store};
pub use watcher::Watcher;
