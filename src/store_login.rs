//! How stores log in to the gateways with the mail that Sieve sends, and to each other.
//!
//! The installation's token comes in, a password goes out: both sides derive it, so that no store holds the token itself,
//! by which verdicts are known.

use aws_lc_rs::hmac;

/// The stores' log-in. It is no address, so it cannot be a mailbox's.
pub const LOGIN: &str = "store";

/// The stores' password: 64 hexadecimal digits.
#[must_use]
pub fn password(token: &str) -> String {
    derived(token, "stores log in to gateways")
}

/// The key by which the stores of a shard know each other, also their password at each other's Cyrus: 64 hexadecimal digits.
#[must_use]
pub fn peer_key(token: &str) -> String {
    derived(token, "stores know each other")
}

fn derived(token: &str, purpose: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let mac = hmac::sign(&key, purpose.as_bytes());
    mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_depends_on_the_token_and_does_not_show_it() {
        assert_eq!(password("ab12").len(), 64);
        assert_eq!(password("ab12"), password("ab12"));
        assert_ne!(password("ab12"), password("ab13"));
        assert_ne!(password("ab12"), peer_key("ab12"));
    }
}
