//! The kinds of objects that go along, in the order in which they are to be made. Pure.
//!
//! Secrets come first: the operator makes a key or a password that it does not find, and nothing is ever written over.

use kube::core::ApiResource;

use crate::api::{GROUP, MailBackup, MailDomain, MailGroup, MailSystem, Mailbox, RetiredMailbox};

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Secret.
    Secret,
    /// `MailSystem`.
    System,
    /// `MailDomain`.
    Domain,
    /// `Mailbox`.
    Mailbox,
    /// `MailGroup`.
    Group,
    /// `RetiredMailbox`.
    Retired,
    /// `MailBackup`.
    Backup,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Secret, Self::System, Self::Domain, Self::Mailbox, Self::Group, Self::Retired, Self::Backup];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::System => "MailSystem",
            Self::Domain => "MailDomain",
            Self::Mailbox => "Mailbox",
            Self::Group => "MailGroup",
            Self::Retired => "RetiredMailbox",
            Self::Backup => "MailBackup",
        }
    }

    /// The version under which it is read and made.
    #[must_use]
    pub fn api_version(self) -> String {
        if self == Self::Secret { "v1".to_owned() } else { format!("{GROUP}/v1alpha1") }
    }

    /// The kind of these words, if it is one that goes along.
    #[must_use]
    pub fn of(api_version: &str, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name && kind.api_version() == api_version)
    }

    /// How the API knows it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Secret => ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&()),
            Self::System => ApiResource::erase::<MailSystem>(&()),
            Self::Domain => ApiResource::erase::<MailDomain>(&()),
            Self::Mailbox => ApiResource::erase::<Mailbox>(&()),
            Self::Group => ApiResource::erase::<MailGroup>(&()),
            Self::Retired => ApiResource::erase::<RetiredMailbox>(&()),
            Self::Backup => ApiResource::erase::<MailBackup>(&()),
        }
    }

    /// What of it says what it is, beside its metadata.
    #[must_use]
    pub const fn content(self) -> &'static [&'static str] {
        match self {
            Self::Secret => &["type", "data", "immutable"],
            _ => &["spec"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_its_words_and_no_other_is() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(&kind.api_version(), kind.name()), Some(kind));
            assert_eq!(
                (&*kind.resource().kind, &*kind.resource().api_version),
                (kind.name(), &*kind.api_version())
            );
        }
        assert_eq!(Kind::of("v1", "Pod"), None);
        assert_eq!(Kind::of("v1", "Mailbox"), None);
        assert_eq!(Kind::of("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), None);
    }
}
