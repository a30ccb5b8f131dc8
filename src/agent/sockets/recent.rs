//! Passwords that were right a moment ago, so that a mail client with ten connections costs one hash.
//!
//! A mac of login, hash and password goes in and is recognised for [`LIFETIME`]. The hash is part of it: with another
//! password in the directory it is no longer recognised. The key lives and dies with the process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac, rand};

const LIFETIME: Duration = Duration::from_mins(1);
const MOST: usize = 10_000;

pub(super) struct Recent {
    /// Without a key, for want of random numbers, nothing is remembered.
    key: Option<hmac::Key>,
    macs: HashMap<Box<str>, ([u8; 32], Instant)>,
}

impl Default for Recent {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok();
        Self { key, macs: HashMap::new() }
    }
}

impl Recent {
    /// What stands for these three.
    pub(super) fn mac(&self, login: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        let Some(key) = &self.key else { return mac };
        let mut context = hmac::Context::with_key(key);
        // Neither a login nor a hash has a NUL, so the three cannot be cut elsewhere.
        for part in [login.as_bytes(), b"\0", hash.as_bytes(), b"\0", password] {
            context.update(part);
        }
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// Whether this was right a moment ago.
    pub(super) fn holds(&self, login: &str, mac: &[u8; 32], now: Instant) -> bool {
        self.macs.get(login).is_some_and(|(held, at)| {
            now.duration_since(*at) < LIFETIME && verify_slices_are_equal(held, mac).is_ok()
        })
    }

    /// Remembers what was right.
    pub(super) fn insert(&mut self, login: &str, mac: [u8; 32], now: Instant) {
        if self.macs.len() >= MOST {
            self.macs.retain(|_, (_, at)| now.duration_since(*at) < LIFETIME);
        }
        if self.key.is_some() && self.macs.len() < MOST {
            self.macs.insert(login.into(), (mac, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_right_is_known_for_a_minute_and_only_with_the_same_hash() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        let mac = recent.mac("an@x.vn", "hash", b"password");
        recent.insert("an@x.vn", mac, now);
        assert!(recent.holds("an@x.vn", &recent.mac("an@x.vn", "hash", b"password"), now));
        assert!(!recent.holds("an@x.vn", &recent.mac("an@x.vn", "other", b"password"), now));
        assert!(!recent.holds("an@x.vn", &recent.mac("an@x.vn", "hash", b"Password"), now));
        assert!(!recent.holds("binh@x.vn", &mac, now));
        assert!(!recent.holds("an@x.vn", &mac, now + LIFETIME));
    }
}
