//! Directory services (LDAP) as the agents know them: where they are, who searches, and whose passwords they know.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{Index, domain_of};

/// A directory service.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ldap {
    /// Its name in the MailSystem.
    pub name: String,
    /// The domains whose people it knows, folded; all that no other one names if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Its servers: `ldaps://`, or `ldap://` with `StartTLS`.
    pub urls: Vec<String>,
    /// The authorities of their certificates (PEM); those of the image if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How a person's name is found out.
    pub naming: Naming,
    /// Seconds within which an answer is wanted.
    pub timeout: u32,
    /// Whether a mailbox's own password opens it while the service does not know the person or does not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback_local: bool,
}

/// How the name is found out in which a password is tried.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Naming {
    /// By a search.
    Search {
        /// Who searches; nobody in particular if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Searcher>,
        /// Where it begins.
        base: String,
        /// What the entry is like, with `{address}`, `{local}` and `{domain}` in it.
        filter: String,
    },
    /// By a template with the same in it.
    Direct(String),
}

/// Who searches.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Searcher {
    /// Its name.
    pub dn: String,
    /// Its password; `None` while none is known, and then nothing can be searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Ldap {
    /// Stands for a password that the service knows, as [`Credential::tag`](super::Credential::tag) does for one of the
    /// system's own. It does not change with the password, which nobody here knows.
    #[must_use]
    pub fn tag(&self) -> String {
        let digest = digest::digest(&digest::SHA256, format!("ldap {}", self.name).as_bytes());
        digest.as_ref().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl std::fmt::Debug for Ldap {
    /// Hides the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ldap").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Index {
    /// The directory service that knows the people of the domain of `address`.
    #[must_use]
    pub fn ldap_of(&self, address: &str) -> Option<&Arc<Ldap>> {
        let domain = domain_of(address);
        let names = |ldap: &&Arc<Ldap>| ldap.domains.iter().any(|named| *named == *domain);
        self.ldap.iter().find(names).or_else(|| self.ldap.iter().find(|ldap| ldap.domains.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ldap(name: &str, domains: &[&str]) -> Arc<Ldap> {
        let by = Some(Searcher { dn: "cn=mail".into(), password: Some("geheim".into()) });
        Arc::new(Ldap {
            name: name.into(),
            domains: domains.iter().map(ToString::to_string).collect(),
            urls: vec!["ldaps://x.vn".into()],
            ca: None,
            naming: Naming::Search { by, base: "dc=vn".into(), filter: "(mail={address})".into() },
            timeout: 5,
            fallback_local: false,
        })
    }

    #[test]
    fn a_domain_has_the_service_that_names_it_else_the_one_that_names_none() {
        let mut index = Index { ldap: vec![ldap("rest", &[]), ldap("x", &["x.vn"])], ..Index::default() };
        let of = |index: &Index, address: &str| index.ldap_of(address).map(|ldap| ldap.name.clone());
        assert_eq!(of(&index, "an@x.vn").as_deref(), Some("x"));
        assert_eq!(of(&index, "an@a.x.vn").as_deref(), Some("rest"));
        index.ldap.remove(0);
        assert_eq!(of(&index, "an@y.vn"), None);
        assert_ne!(ldap("a", &[]).tag(), ldap("b", &[]).tag());
        assert!(!format!("{index:?}").contains("geheim"));
    }
}
