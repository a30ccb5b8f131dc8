//! The MailSystem controller.

pub mod certificate;
pub mod pair;
pub mod validated;
