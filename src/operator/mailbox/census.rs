//! How many mailboxes and domains each mail system serves: what the MailSystem controller copies into status.

use std::collections::BTreeMap;

use crate::names::SystemName;

/// Counts of every MailSystem that exists, zeros included. A system that is missing has not been counted yet.
pub type Census = BTreeMap<SystemName, Counts>;

/// What one system serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mailboxes whose own address is in the directory.
    pub mailboxes: u32,
    /// MailDomains whose domain is in the directory.
    pub domains: u32,
}
