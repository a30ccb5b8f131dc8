//! Everything that runs beside a mail daemon.
//!
//! [`settings`] come from the environment; the [`directory`] is followed and kept; [`sockets`] answer what daemons ask
//! from it, [`posting`] says who may write to a group, and [`logins`] keep when whom did log in; [`gateway`], [`store`] and [`antispam`] are the agents, with
//! [`lmtp`] between the first two and [`smtp`] for the agents' own mail. [`job`] works on backups, in pods of its own.

pub mod antispam;
pub mod directory;
pub mod gateway;
pub mod job;
pub mod lmtp;
pub mod logins;
pub mod pages;
pub mod posting;
pub mod resolver;
pub mod sending;
pub mod settings;
pub mod smtp;
pub mod sockets;
pub mod store;
pub mod token;
