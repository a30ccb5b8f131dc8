//! The serving store's side of a restore: it says what it has of a mailbox, and takes what that lacks.
//!
//! ```text
//!  Job of a restore ──signed──▶ desk ─IMAP, as the owner─▶ Cyrus
//! ```
//!
//! Nothing that is there is changed, and nothing comes twice: a message whose content lives in its folder is left as it is.

mod desk;
#[cfg(test)]
mod desk_tests;
mod local;
pub mod protocol;

pub use self::desk::Desk;
pub use crate::agent::store::provision::Owned;
