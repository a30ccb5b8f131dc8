//! The MailSystem controller.

pub mod availability;
pub mod certificate;
pub mod explain;
pub mod fetch;
pub mod pair;
pub mod problems;
pub mod status;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod validated;
pub mod workloads;
