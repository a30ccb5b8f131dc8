//! How stores log in to the gateways with the mail that Sieve sends.
//!
//! The installation's token comes in, a password goes out: both sides derive it, so that no store holds the token itself,
//! by which verdicts are known.

use aws_lc_rs::hmac;

/// The stores' log-in. It is no address, so it cannot be a mailbox's.
pub const LOGIN: &str = "store";

/// The stores' password: 64 hexadecimal digits.
#[must_use]
pub fn password(token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let mac = hmac::sign(&key, b"stores log in to gateways");
    mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_depends_on_the_token_and_does_not_show_it() {
        assert_eq!(password("ab12").len(), 64);
        assert_eq!(password("ab12"), password("ab12"));
        assert_ne!(password("ab12"), password("ab13"));
    }
}
