//! What daemons ask, answered from the directory.
//!
//! Postfix asks [`socketmap`] who a recipient is and [`sasl`] whether a password is right; nginx asks [`auth_http`]
//! who a client is and which store has the mailbox. Each question has a deadline of its own, since the daemons' own are
//! minutes. While no directory is held, every answer is "later", never "no".

pub mod auth_http;
pub mod listener;
pub mod passwords;
pub mod sasl;
pub mod socketmap;
