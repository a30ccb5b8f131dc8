//! The Secret with a system's DKIM keys: what the operator writes into it and the agents beside Rspamd read from it.
//! Pure.
//!
//! `selectors.map` has a line `<domain> <selector>` for each domain that is signed for; `<domain>.<selector>.key` is a
//! private key in PEM.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::ByteString;

/// Key of the map from domains to selectors.
pub const SELECTORS: &str = "selectors.map";

/// Name of a private key in the Secret.
#[must_use]
pub fn file(domain: &str, selector: &str) -> String {
    format!("{domain}.{selector}.key")
}

/// What a domain is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer<'a> {
    /// The domain, in lower case.
    pub domain: &'a str,
    /// The selector under which the public key is published.
    pub selector: &'a str,
    /// The private key in PEM.
    pub key: &'a [u8],
}

impl Signer<'_> {
    /// By which operator and agents know that they speak of the same key: the selector, and a hash of the key that tells
    /// nothing of it.
    #[must_use]
    pub fn mark(&self) -> String {
        let hash = digest(&SHA256, self.key);
        let start = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{}:{start:016x}", self.selector)
    }
}

/// Everything that is signed for with these `data` of the Secret, in the order of the map. Lines without a key, and
/// those that are no two names, are left out.
pub fn signers(data: &BTreeMap<String, ByteString>) -> impl Iterator<Item = Signer<'_>> {
    let map = data.get(SELECTORS).and_then(|map| std::str::from_utf8(&map.0).ok()).unwrap_or_default();
    map.lines().filter_map(|line| {
        let (domain, selector) = line.split_once(' ')?;
        if !is_name(domain) || !is_name(selector) {
            return None;
        }
        let key = data.get(&file(domain, selector))?.0.as_slice();
        Some(Signer { domain, selector, key })
    })
}

/// Whether the text can be part of a file's name.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_signed_for_when_the_map_names_it_and_its_key_is_there() {
        let entry = |name: &str, text: &str| (name.to_owned(), ByteString(text.into()));
        let data = BTreeMap::from([
            entry(SELECTORS, "x.vn mail\ny.vn mail\n../etc mail\nz.vn\n"),
            entry("x.vn.mail.key", "one"),
            entry("x.vn.old.key", "two"),
            entry("../etc.mail.key", "three"),
        ]);
        let found: Vec<_> = signers(&data).collect();
        assert_eq!(found, [Signer { domain: "x.vn", selector: "mail", key: b"one" }]);
        assert_eq!(found[0].mark(), "mail:7692c3ad3540bb80");
    }
}
