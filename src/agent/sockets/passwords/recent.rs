//! Passwords that were right or wrong a moment ago, so that a mail client with ten connections costs one hash, and one
//! that repeats an old password costs nothing and locks nobody out.
//!
//! A mac of login, proof and password goes in and is recognised for [`LIFETIME`]. The proof (a hash, for example) is
//! part of it: with another password in the directory it is no longer recognised. The key lives and dies with the process.

use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};

use super::generations::Generations;

/// How long an answer is good for.
pub(super) const LIFETIME: Duration = Duration::from_mins(1);
const MOST: usize = 10_000;

/// Stands for a login, a proof and a password.
pub(super) type Mac = [u8; 32];

pub(super) struct Recent {
    /// Without a key, for want of random numbers, nothing is remembered.
    key: Option<hmac::Key>,
    /// Apart, so that whoever guesses does not push out what was right.
    right: Generations<Mac, (Instant, usize)>,
    wrong: Generations<Mac, Instant>,
}

impl Default for Recent {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok();
        Self { key, right: Generations::new(MOST), wrong: Generations::new(MOST) }
    }
}

impl Recent {
    /// What stands for these three.
    pub(super) fn mac(&self, login: &str, proof: &str, password: &[u8]) -> Option<Mac> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        // Neither a login nor a proof has a NUL, so the three cannot be cut elsewhere.
        for part in [login.as_bytes(), b"\0", proof.as_bytes(), b"\0", password] {
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied()
    }

    /// How long ago this was right, and which password it was.
    pub(super) fn right(&self, mac: Option<Mac>, now: Instant) -> Option<(Duration, usize)> {
        self.right.get(&mac?).map(|(at, which)| (now.saturating_duration_since(*at), *which))
    }

    /// Whether this was wrong within the [`LIFETIME`].
    pub(super) fn is_wrong(&self, mac: Option<Mac>, now: Instant) -> bool {
        let at = mac.and_then(|mac| self.wrong.get(&mac));
        at.is_some_and(|at| now.saturating_duration_since(*at) < LIFETIME)
    }

    /// Remembers an answer: which password it was, if it was right.
    pub(super) fn insert(&mut self, mac: Option<Mac>, right: Option<usize>, now: Instant) {
        let Some(mac) = mac else { return };
        if let Some(which) = right {
            self.wrong.remove(&mac);
            self.right.insert(mac, (now, which));
        } else {
            self.right.remove(&mac);
            self.wrong.insert(mac, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_for_this_login_proof_and_password_alone() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        let mac = recent.mac("an@x.vn", "hash", b"password");
        recent.insert(mac, Some(3), now);
        assert_eq!(recent.right(mac, now + LIFETIME), Some((LIFETIME, 3)));
        for (login, proof, password) in [
            ("an@x.vn", "other", "password"),
            ("an@x.vn", "hash", "Password"),
            ("binh@x.vn", "hash", "password"),
        ] {
            assert_eq!(recent.right(recent.mac(login, proof, password.as_bytes()), now), None);
        }
        recent.insert(mac, None, now);
        assert!(recent.right(mac, now).is_none() && recent.is_wrong(mac, now));
        assert!(!recent.is_wrong(mac, now + LIFETIME) && !recent.is_wrong(None, now));
    }
}
