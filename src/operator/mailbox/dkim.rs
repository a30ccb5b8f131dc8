//! DKIM keys (RFC 6376): made, read, and the Secret that keeps them. Input is the data of the Secret and what is
//! wanted of each domain; output is the new data and the public keys. Which key signs is decided in [`super::rotation`]. No client.

use std::collections::BTreeMap;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::ByteString;

use super::rotation::{Ring, Wish};
use crate::signing::{self, SELECTORS, file};

/// Longest name of a key in a Secret.
const LONGEST: usize = 253;

/// Key of the rings of all domains in the Secret, as JSON by domain.
const ROTATION: &str = "rotation.json";

/// Why there is no public key for a domain.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum DkimError {
    /// The key could not be made.
    #[error("no RSA key could be made")]
    Generate,
    /// The Secret has something else under the key's name.
    #[error("{0} is no RSA key of at least 2048 bits in PEM")]
    Unreadable(String),
    /// Somebody removed a key whose record is still to be kept.
    #[error("the key is gone")]
    Gone,
    /// The Secret is somebody else's; this says what to do.
    #[error("{0}")]
    NameTaken(String),
    /// Domain and selector together do not fit.
    #[error("the domain and the selector are too long for a key of a Secret")]
    TooLong,
}

/// Public keys by domain and selector, as base64 of the subject public key.
pub type PublicKeys = BTreeMap<(String, String), Result<String, DkimError>>;

/// What is wanted of the keys, by domain.
pub type Wishes = BTreeMap<String, Wish>;

/// What is known of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Which key each domain signs with, and which others it has.
    pub rings: BTreeMap<String, Ring>,
    /// The public keys.
    pub public: PublicKeys,
    /// What each domain is signed with once the agents have it; see [`crate::signing::Signer::mark`].
    pub marks: BTreeMap<String, String>,
    /// Whether the Secret is somebody else's.
    pub taken: bool,
}

impl Keys {
    /// The key that a domain signs with.
    #[must_use]
    pub fn signing(&self, domain: &str) -> Option<&Result<String, DkimError>> {
        let selector = self.rings.get(domain)?.signing.selector.clone();
        self.public.get(&(domain.to_owned(), selector))
    }
}

/// That nobody signs, since the Secret is somebody else's: `words` say what to do.
#[must_use]
pub fn taken(wishes: &Wishes, words: &str, now: i64) -> Keys {
    let mut keys = Keys { taken: true, ..Keys::default() };
    for (domain, wish) in wishes {
        keys.rings.insert(domain.clone(), Ring::new(&wish.selector, now));
        let error = DkimError::NameTaken(words.trim_end_matches('.').to_owned());
        keys.public.insert((domain.clone(), wish.selector.clone()), Err(error));
    }
    keys
}

/// Brings `data` in line with the wishes: keys that are missing are made, those of no further use removed, and the map
/// says what is signed with. A key that is present is never replaced. True if `data` changed. Takes about a tenth of a
/// second for each new key.
pub fn complete(data: &mut BTreeMap<String, ByteString>, wishes: &Wishes, now: i64) -> (bool, Keys) {
    let before = data.clone();
    let mut rings = read_rings(data);
    let (mut keys, mut map) = (Keys::default(), String::new());
    for (domain, wish) in wishes {
        let signs = || signing::signers(data).any(|signer| signer.domain == domain);
        if wish.hold && !rings.contains_key(domain) && !signs() {
            continue;
        }
        let old = rings.remove(domain).unwrap_or_else(|| adopt(data, domain, wish, now));
        let usable =
            |selector: &str| data.get(&file(domain, selector)).is_some_and(|pem| read(&pem.0).is_some());
        let ring = old.turn(wish, usable, now);
        for gone in old.selectors().filter(|old| ring.selectors().all(|kept| kept != *old)) {
            data.remove(&file(domain, gone));
        }
        for selector in ring.selectors() {
            let known = ring.former.iter().any(|former| former.selector == selector);
            let key = key(data, file(domain, selector), !known);
            keys.public.insert((domain.clone(), selector.to_owned()), key);
        }
        let signing = ring.signing.selector.clone();
        keys.rings.insert(domain.clone(), ring);
        if let Some(Ok(_)) = keys.signing(domain) {
            map = map + domain + " " + &signing + "\n";
        }
    }
    // The keys of a domain that is gone are kept: their records may stand in the DNS.
    rings.extend(keys.rings.clone());
    data.insert(SELECTORS.to_owned(), ByteString(map.into_bytes()));
    if let Ok(text) = serde_json::to_vec(&rings) {
        data.insert(ROTATION.to_owned(), ByteString(text));
    }
    (*data != before, keys)
}

/// The public key under this name in the Secret; made if it is not there and `make` says so.
fn key(data: &mut BTreeMap<String, ByteString>, name: String, make: bool) -> Result<String, DkimError> {
    match data.get(&name) {
        _ if name.len() > LONGEST => Err(DkimError::TooLong),
        Some(pem) => read(&pem.0).ok_or(DkimError::Unreadable(name)),
        None if !make => Err(DkimError::Gone),
        None => generate().map(|(pem, key)| {
            data.insert(name, ByteString(pem.into_bytes()));
            key
        }),
    }
}

/// The ring of a domain that has none: it goes on with the key that it signed with before there were rings.
fn adopt(data: &BTreeMap<String, ByteString>, domain: &str, wish: &Wish, now: i64) -> Ring {
    let signed = signing::signers(data).find(|signer| signer.domain == domain);
    Ring::new(signed.map_or(wish.selector.as_str(), |signer| signer.selector), now)
}

fn read_rings(data: &BTreeMap<String, ByteString>) -> BTreeMap<String, Ring> {
    let text = data.get(ROTATION).map(|text| text.0.as_slice()).unwrap_or_default();
    serde_json::from_slice(text).unwrap_or_default()
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
    use crate::operator::mailbox::rotation::KEPT;

    fn wishes(domain: &str, selector: &str, seen: Option<&str>) -> Wishes {
        let seen = seen.map(str::to_owned);
        let wish =
            Wish { selector: selector.to_owned(), rotate_every: None, dns_check: true, seen, hold: false };
        Wishes::from([(domain.to_owned(), wish)])
    }

    fn map(data: &BTreeMap<String, ByteString>) -> &str {
        std::str::from_utf8(&data[SELECTORS].0).unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_signed_with_until_the_record_of_another_was_seen() {
        let mut data = BTreeMap::new();
        let (changed, first) = complete(&mut data, &wishes("x.vn", "mail", None), 0);
        assert!(changed && first.signing("x.vn").unwrap().is_ok());
        assert_eq!(map(&data), "x.vn mail\n");
        let (changed, second) = complete(&mut data, &wishes("x.vn", "mail", None), 5);
        assert_eq!((changed, &second), (false, &first));

        let (changed, third) = complete(&mut data, &wishes("x.vn", "new", None), 10);
        assert!(changed && data.contains_key("x.vn.mail.key") && data.contains_key("x.vn.new.key"));
        assert_eq!((map(&data), third.signing("x.vn")), ("x.vn mail\n", first.signing("x.vn")));
        complete(&mut data, &wishes("x.vn", "new", Some("new")), 20);
        assert_eq!(map(&data), "x.vn new\n");
        assert!(data.contains_key("x.vn.mail.key"), "its record is still to be kept");
        complete(&mut data, &wishes("x.vn", "new", None), 20 + KEPT);
        assert!(!data.contains_key("x.vn.mail.key"));
    }

    #[test]
    fn keys_from_before_there_were_rings_and_keys_of_others_are_kept() {
        let mut data = BTreeMap::new();
        complete(&mut data, &wishes("x.vn", "mail", None), 0);
        data.remove(ROTATION);
        data.insert("y.vn.own.key".to_owned(), data["x.vn.mail.key"].clone());
        let (_, keys) = complete(&mut data, &wishes("x.vn", "new", None), 10);
        assert_eq!(
            (map(&data), &*keys.rings["x.vn"].next.as_ref().unwrap().selector),
            ("x.vn mail\n", "new")
        );
        let (_, keys) = complete(&mut data, &wishes("y.vn", "own", None), 20);
        assert!(keys.signing("y.vn").unwrap().is_ok());
        assert_eq!(map(&data), "y.vn own\n");
        assert!(data.contains_key("x.vn.mail.key"), "its domain may come back");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_reported_and_left() {
        let mut data = BTreeMap::from([("x.vn.mail.key".to_owned(), ByteString(b"?".to_vec()))]);
        let (_, keys) = complete(&mut data, &wishes("x.vn", "mail", None), 0);
        assert!(matches!(keys.signing("x.vn"), Some(Err(DkimError::Unreadable(_)))));
        assert_eq!(data["x.vn.mail.key"].0, b"?");
        assert_eq!(map(&data), "");
    }

    #[test]
    fn a_name_that_no_secret_can_hold_is_reported() {
        let domain = format!("{}.vn", "a.".repeat(120));
        let (_, keys) = complete(&mut BTreeMap::new(), &wishes(&domain, "mail-of-the-province", None), 0);
        assert_eq!(keys.signing(&domain), Some(&Err(DkimError::TooLong)));
    }
}
