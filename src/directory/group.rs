//! A group as agents know it: whom it reaches, nested groups resolved, and who may write to it.

use serde::{Deserialize, Serialize};

use super::domain_of;
use crate::api::Posting;

/// A group.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The uid of its MailGroup; the operator's memory.
    pub uid: String,
    /// Namespace and name of its MailGroup, with a slash between.
    pub object: String,
    /// Whom a message to it is for, folded, sorted, each once: own addresses of mailboxes, and addresses outside. Nobody
    /// while it cannot be served; then its mail waits with the senders.
    pub recipients: Vec<String>,
    /// Who may write to it.
    #[serde(default)]
    pub posting: Posting,
    /// Who may besides, folded: addresses, or `@` and a domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<String>,
}

impl Group {
    /// The namespace of its MailGroup.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.object.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// Whether a message to it is for this mailbox, by its own address (folded).
    #[must_use]
    pub fn reaches(&self, address: &str) -> bool {
        self.recipients.binary_search_by(|recipient| recipient.as_str().cmp(address)).is_ok()
    }

    /// Whether this address (folded), or its domain, is among those who may write besides.
    #[must_use]
    pub fn lists(&self, address: &str) -> bool {
        let of_domain = |sender: &str| sender.strip_prefix('@') == Some(domain_of(address));
        self.senders.iter().any(|sender| sender == address || of_domain(sender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_listed_by_address_or_by_domain() {
        let senders = vec!["dan@example.com".into(), "@bo.gov.vn".into()];
        let group = Group { senders, object: "a/g".into(), ..Group::default() };
        assert!(group.lists("dan@example.com") && group.lists("van.thu@bo.gov.vn"));
        for other in ["eve@example.com", "x@sub.bo.gov.vn", "x@lobo.gov.vn", "", "@bo.gov.vn.evil.com"] {
            assert!(!group.lists(other), "{other}");
        }
        assert_eq!(group.namespace(), "a");
    }
}
