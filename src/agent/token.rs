//! Tokens with which a gateway introduces a client to a store, in place of the password.
//!
//! Key, login, tag of the password and time come in; a token or its tag goes out. `T2.<expiry>.<tag>.<mac>`: expiry in
//! Unix seconds, mac the HMAC-SHA256 over `login|expiry|tag` in hexadecimal digits. Whoever holds the directory's key can mint one, so the key
//! never leaves the directory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

/// How long a token is good for: from nginx's question to the log-in at the store, with slow connections.
pub const LIFETIME: Duration = Duration::from_mins(1);

/// The directory's key of tokens.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// The key in 64 hexadecimal digits; none if the text is something else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = decode_hex(text).filter(|bytes| bytes.len() == 32)?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A token for `login` (folded), who has shown the password of this `tag`, that expires [`LIFETIME`] after `now`.
    #[must_use]
    pub fn mint(&self, login: &str, tag: &str, now: SystemTime) -> String {
        let expiry = unix(now + LIFETIME);
        let mac = hmac::sign(&self.0, signed(login, expiry, tag).as_bytes());
        let hex: Vec<_> = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("T2.{expiry}.{tag}.{}", hex.concat())
    }

    /// The tag in `token`, if that was minted for `login` (folded) and is still good. The mac is compared in constant time.
    #[must_use]
    pub fn verify(&self, login: &str, token: &[u8], now: SystemTime) -> Option<String> {
        let (expiry, tag, mac) = parse(token)?;
        // A token from far ahead is not ours: clocks of one cluster differ by seconds.
        let ours = (unix(now)..=unix(now + 2 * LIFETIME)).contains(&expiry);
        let right = hmac::verify(&self.0, signed(login, expiry, tag).as_bytes(), &mac).is_ok() && ours;
        right.then(|| tag.to_owned())
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

fn signed(login: &str, expiry: u64, tag: &str) -> String {
    format!("{login}|{expiry}|{tag}")
}

fn parse(token: &[u8]) -> Option<(u64, &str, Vec<u8>)> {
    let (expiry, rest) = std::str::from_utf8(token).ok()?.strip_prefix("T2.")?.split_once('.')?;
    let (tag, mac) = rest.split_once('.')?;
    Some((expiry.parse().ok()?, tag, decode_hex(mac)?))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(digit: &str) -> TokenKey {
        TokenKey::from_hex(&digit.repeat(64)).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_for_its_login_its_key_and_a_minute() {
        let token = key("a").mint("an@x.vn", "ab", at(1000));
        assert!(token.starts_with("T2.1060.ab."));
        assert_eq!(key("a").verify("an@x.vn", token.as_bytes(), at(1060)), Some("ab".into()));
        let other = token.replace(".ab.", ".ac.");
        assert_eq!(key("a").verify("an@x.vn", other.as_bytes(), at(1060)), None, "another password");
        assert!(key("a").verify("an@x.vn", token.as_bytes(), at(1061)).is_none());
        assert!(key("a").verify("binh@x.vn", token.as_bytes(), at(1000)).is_none());
        assert!(key("b").verify("an@x.vn", token.as_bytes(), at(1000)).is_none());
        assert!(key("a").verify("an@x.vn", token.as_bytes(), at(0)).is_none(), "from far ahead");
    }

    #[test]
    fn a_key_has_32_bytes() {
        for text in ["", "ab", &"a".repeat(63), &"g".repeat(64), &"a".repeat(66)] {
            assert!(TokenKey::from_hex(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_changed_is_refused(login in "[a-z@.|0-9]{1,20}", position: prop::sample::Index, byte: u8) {
            let mut token = key("a").mint(&login, "ab", at(1000)).into_bytes();
            prop_assert!(key("a").verify(&login, &token, at(1000)).is_some());
            let position = position.index(token.len());
            // Hexadecimal digits may be of either case.
            if !token[position].eq_ignore_ascii_case(&byte) {
                token[position] = byte;
                prop_assert!(key("a").verify(&login, &token, at(1000)).is_none());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(key("a").verify("an@x.vn", &bytes, at(0)).is_none());
        }
    }
}
