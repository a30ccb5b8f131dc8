//! DKIM keys (RFC 6376): made, read, and the Secret that keeps them. Input is the data of the Secret and the domains
//! that need a key; output is the new data and the public keys. A key that is present is never replaced. No client.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::ByteString;

use crate::signing::{SELECTORS, file};

/// Longest name of a key in a Secret.
const LONGEST: usize = 253;

/// A domain and the selector that it signs with.
pub type Signer = (String, String);

/// Why there is no public key for a domain.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum DkimError {
    /// The key could not be made.
    #[error("no RSA key could be made")]
    Generate,
    /// The Secret has something else under the key's name.
    #[error("{0} is no RSA key of at least 2048 bits in PEM")]
    Unreadable(String),
    /// Domain and selector together do not fit.
    #[error("the domain and the selector are too long for a key of a Secret")]
    TooLong,
}

/// Public keys by signer, as base64 of the subject public key.
pub type PublicKeys = BTreeMap<Signer, Result<String, DkimError>>;

/// What is known of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The public keys.
    pub public: PublicKeys,
    /// What each domain is signed with once the agents have it; see [`crate::signing::Signer::mark`].
    pub marks: BTreeMap<String, String>,
}

/// Adds what is missing for `signers` to `data`. True if `data` changed. Takes about a tenth of a second for each new
/// key.
pub fn complete(data: &mut BTreeMap<String, ByteString>, signers: &BTreeSet<Signer>) -> (bool, PublicKeys) {
    let mut changed = false;
    let mut public = PublicKeys::new();
    for (domain, selector) in signers {
        let name = file(domain, selector);
        let key = match data.get(&name) {
            _ if name.len() > LONGEST => Err(DkimError::TooLong),
            Some(pem) => read(&pem.0).ok_or(DkimError::Unreadable(name)),
            None => generate().map(|(pem, key)| {
                data.insert(name, ByteString(pem.into_bytes()));
                changed = true;
                key
            }),
        };
        public.insert((domain.clone(), selector.clone()), key);
    }
    let usable = public.iter().filter(|(_, key)| key.is_ok());
    let map = usable.fold(String::new(), |map, ((domain, selector), _)| map + domain + " " + selector + "\n");
    let map = ByteString(map.into_bytes());
    if data.get(SELECTORS) != Some(&map) {
        data.insert(SELECTORS.to_owned(), map);
        changed = true;
    }
    (changed, public)
}

fn generate() -> Result<(String, String), DkimError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| DkimError::Generate)?;
    let private: Pkcs8V1Der = pair.as_der().map_err(|_| DkimError::Generate)?;
    let public = public(&pair).ok_or(DkimError::Generate)?;
    Ok((pem(private.as_ref()), public))
}

fn public(pair: &KeyPair) -> Option<String> {
    let der: PublicKeyX509Der = pair.public_key().as_der().ok()?;
    Some(STANDARD.encode(der.as_ref()))
}

/// The public key of a private one in PEM, PKCS#8 or PKCS#1.
fn read(pem: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(pem).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(body).ok()?;
    let pair = KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).ok()?;
    public(&pair)
}

fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let body = STANDARD.encode(der);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text + "-----END PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(of: &[(&str, &str)]) -> BTreeSet<Signer> {
        of.iter().map(|(domain, selector)| ((*domain).to_owned(), (*selector).to_owned())).collect()
    }

    #[test]
    fn a_key_is_made_once_and_a_new_selector_keeps_the_old_one() {
        let mut data = BTreeMap::new();
        let (changed, first) = complete(&mut data, &signers(&[("x.vn", "mail")]));
        assert!(changed);
        assert_eq!(data[SELECTORS].0, b"x.vn mail\n");
        let (changed, second) = complete(&mut data, &signers(&[("x.vn", "mail")]));
        assert_eq!((changed, &second), (false, &first));
        let (changed, third) = complete(&mut data, &signers(&[("x.vn", "new")]));
        assert!(changed && data.contains_key("x.vn.mail.key") && data.contains_key("x.vn.new.key"));
        assert_ne!(third.into_values().next(), first.into_values().next());
        assert_eq!(data[SELECTORS].0, b"x.vn new\n");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_reported_and_left() {
        let mut data = BTreeMap::from([("x.vn.mail.key".to_owned(), ByteString(b"?".to_vec()))]);
        let (_, keys) = complete(&mut data, &signers(&[("x.vn", "mail")]));
        assert!(matches!(keys.values().next(), Some(Err(DkimError::Unreadable(_)))));
        assert_eq!(data["x.vn.mail.key"].0, b"?");
        assert_eq!(data[SELECTORS].0, b"");
    }

    #[test]
    fn a_name_that_no_secret_can_hold_is_reported() {
        let domain = format!("{}.vn", "a.".repeat(120));
        let (_, keys) = complete(&mut BTreeMap::new(), &signers(&[(&domain, "mail-of-the-province")]));
        assert_eq!(keys.values().next(), Some(&Err(DkimError::TooLong)));
    }
}
