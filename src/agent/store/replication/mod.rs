//! The channel from the primary to its replica: how far it is, whether the replica has everything, and what mends it.
//!
//! ```text
//!  Cyrus ─log─▶ trouble ─┐                        ┌─▶ told "you have everything", what is said of it
//!  beats of the replica ─┼─▶ stage (pure) ─▶ run ─┼─▶ tools: compare, mend
//!  Cyrus' logs ─▶ backlog┘                        └─▶ processes that cannot send any more end
//! ```
//!
//! Cyrus sends; nothing here touches mail.

mod backlog;
mod channel;
mod processes;
mod stage;
mod tools;
mod trouble;

pub use channel::{Channel, run};
pub use tools::{checked, leftovers, push_leftovers, tool};
pub use trouble::{Trouble, of};
