//! The protocols that mail daemons speak to the agents, as codecs without IO.
//!
//! Bytes come in, typed values go out, and the other way round; nothing here opens a socket, waits
//! or logs. Three rules hold for every codec: no input makes it panic, no input makes it hold more
//! than a stated number of bytes, and bytes are never turned into text on the way (mail is not
//! always UTF-8). Each decoder has a fuzz target under `fuzz/`.

pub mod auth_http;
pub mod clamd;
pub mod cyrus;
pub mod from;
pub mod imap;
pub mod lmtp;
pub mod maillog;
pub mod managesieve;
pub mod milter;
pub mod policy;
pub mod reply;
pub mod sasl;
pub mod saslauthd;
pub mod secret;
pub mod socketmap;
pub mod syslog;

#[cfg(test)]
mod testing;
