//! Everything that runs beside a mail daemon.

pub mod directory;
pub mod gateway;
pub mod sockets;
pub mod store;
