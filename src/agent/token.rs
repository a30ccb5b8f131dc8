//! Tokens with which a gateway introduces a client to a store, in place of the password.
//!
//! Key, login and time come in; a token or a yes goes out. `T1.<expiry>.<mac>`: expiry in Unix seconds, mac the
//! HMAC-SHA256 over `login|expiry` in hexadecimal digits. Whoever holds the directory's key can mint one, so the key
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

    /// A token for `login` (folded) that expires [`LIFETIME`] after `now`.
    #[must_use]
    pub fn mint(&self, login: &str, now: SystemTime) -> String {
        let expiry = unix(now + LIFETIME);
        let mac = hmac::sign(&self.0, signed(login, expiry).as_bytes());
        let hex: Vec<_> = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("T1.{expiry}.{}", hex.concat())
    }

    /// Whether `token` was minted for `login` (folded) and is still good. The mac is compared in constant time.
    #[must_use]
    pub fn verify(&self, login: &str, token: &[u8], now: SystemTime) -> bool {
        let Some((expiry, mac)) = parse(token) else { return false };
        // A token from far ahead is not ours: clocks of one cluster differ by seconds.
        let ours = (unix(now)..=unix(now + 2 * LIFETIME)).contains(&expiry);
        hmac::verify(&self.0, signed(login, expiry).as_bytes(), &mac).is_ok() && ours
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

fn signed(login: &str, expiry: u64) -> String {
    format!("{login}|{expiry}")
}

fn parse(token: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (expiry, mac) = std::str::from_utf8(token).ok()?.strip_prefix("T1.")?.split_once('.')?;
    Some((expiry.parse().ok()?, decode_hex(mac)?))
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
        let token = key("a").mint("an@x.vn", at(1000));
        assert!(token.starts_with("T1.1060."));
        assert!(key("a").verify("an@x.vn", token.as_bytes(), at(1060)));
        assert!(!key("a").verify("an@x.vn", token.as_bytes(), at(1061)));
        assert!(!key("a").verify("binh@x.vn", token.as_bytes(), at(1000)));
        assert!(!key("b").verify("an@x.vn", token.as_bytes(), at(1000)));
        assert!(!key("a").verify("an@x.vn", token.as_bytes(), at(0)), "from far ahead");
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
            let mut token = key("a").mint(&login, at(1000)).into_bytes();
            prop_assert!(key("a").verify(&login, &token, at(1000)));
            let position = position.index(token.len());
            // Hexadecimal digits may be of either case.
            if !token[position].eq_ignore_ascii_case(&byte) {
                token[position] = byte;
                prop_assert!(!key("a").verify(&login, &token, at(1000)));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(!key("a").verify("an@x.vn", &bytes, at(0)));
        }
    }
}
