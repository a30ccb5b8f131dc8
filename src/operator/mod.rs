//! Everything that runs in the operator.

pub mod cluster;
pub mod config;
pub mod desired;
pub mod mailbox;
pub mod system;
