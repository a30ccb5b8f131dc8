//! The password of Cyrus' administrator: made when the agent starts, known to the agent alone, never written down.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, error::Unspecified, rand};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};

/// The administrator's login, as `admins` in `imapd.conf` has it.
pub const ADMIN: &str = "cyrus";

/// A random password.
#[derive(Clone)]
pub struct AdminPassword(String);

impl AdminPassword {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)?;
        Ok(Self(BASE64_STANDARD_NO_PAD.encode(bytes)))
    }

    /// Whether this is the password; in constant time.
    #[must_use]
    pub fn is(&self, password: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), password).is_ok()
    }

    /// The message of SASL PLAIN (RFC 4616) by which the administrator logs in, to act as `owner` unless that is empty.
    #[must_use]
    pub fn sasl_plain(&self, owner: &str) -> Vec<u8> {
        format!("{owner}\0{ADMIN}\0{}", self.0).into_bytes()
    }
}

impl fmt::Debug for AdminPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right_and_it_is_not_shown() {
        let (one, other) = (AdminPassword::random().unwrap(), AdminPassword::random().unwrap());
        let plain = one.sasl_plain("an@x.vn");
        let password = plain.strip_prefix(b"an@x.vn\0cyrus\0").unwrap();
        assert!(one.is(password) && password.len() == 43);
        assert!(!other.is(password) && !one.is(b"") && !one.is(&password[1..]));
        assert!(!format!("{one:?}").contains(std::str::from_utf8(&password[..4]).unwrap()));
    }
}
