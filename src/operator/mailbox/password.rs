//! Passwords: making them, hashing them, and naming the version of the Secret that they came from. Pure but for
//! randomness; hashing takes tens of milliseconds, so callers run it on a blocking thread.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};
use aws_lc_rs::{digest, hmac, rand};

use super::index::Print;
use crate::directory::Credential;

/// Letters and digits that are not taken for one another, 32 of them: five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Length of a generated password: 100 bits.
const LENGTH: usize = 20;

/// Why a password was not made or hashed.
#[derive(thiserror::Error, Debug)]
pub enum PasswordError {
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random,
    /// The hash function refused the password: it is longer than 4 GiB, or memory ran out.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// A password that is to be hashed.
pub struct NewPassword {
    /// The password.
    pub password: String,
    /// Whether the Secret is a generated one.
    pub generated: bool,
    /// Names the version of the Secret.
    pub source: String,
}

impl NewPassword {
    /// Its credential: the hash of `old` if that is of the same password, else a new one.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub fn credential(self, old: Option<&Credential>, salt: &Salt) -> Result<Credential, PasswordError> {
        if let Some(old) = old
            && let Ok(hash) = PasswordHash::new(&old.hash)
            && Argon2::default().verify_password(self.password.as_bytes(), &hash).is_ok()
        {
            return Ok(Credential { hash: old.hash.clone(), source: self.source });
        }
        credential(&self.password, self.generated, salt, self.source)
    }
}

/// Recognises passwords that this process saw before. What it gives is of no use to anybody else: the key lives and dies
/// with the process.
#[derive(Debug)]
pub struct Prints(Option<hmac::Key>);

impl Default for Prints {
    fn default() -> Self {
        Self(hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok())
    }
}

impl Prints {
    /// The print of `password`; none without random numbers.
    #[must_use]
    pub fn of(&self, password: &str) -> Option<Print> {
        let mac = hmac::sign(self.0.as_ref()?, password.as_bytes());
        mac.as_ref().first_chunk().copied()
    }
}

/// A new password of 20 characters.
///
/// # Errors
/// No random bytes.
pub fn generate() -> Result<String, PasswordError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| PasswordError::Random)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// The credential for `password` of the Secret version `source`.
///
/// A password that [`generate`] made has 100 bits: no hash need slow a search of 2^100 down, so it gets small
/// parameters and ten thousand mailboxes take seconds. All others get argon2id with the defaults of its RFC 9106 crate
/// (19 MiB, 2 passes). `generated` says that the Secret is ours; the password must look it, too, since people edit it.
///
/// # Errors
/// See [`PasswordError`].
pub fn credential(
    password: &str,
    generated: bool,
    salt: &Salt,
    source: String,
) -> Result<Credential, PasswordError> {
    let small = generated && looks_generated(password);
    let params = if small { Params::new(64, 1, 1, None) } else { Ok(Params::DEFAULT) };
    let params = params.map_err(|error| PasswordError::Hash(error.to_string()))?;
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Credential { hash: hash.to_string(), source })
}

/// What passwords of one mailbox are hashed with.
pub type Salt = [u8; 16];

/// The salt of the mailbox of this uid, which nobody else has. All of its passwords have the same, so that an agent holds
/// one that somebody types against all of them at the cost of one hash.
#[must_use]
pub fn salt(uid: &str) -> Salt {
    let digest = digest::digest(&digest::SHA256, format!("salt of the mailbox {uid}").as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Names a version of a Secret's key in 16 characters, so that a hash need not be made again for it.
#[must_use]
pub fn source(uid: &str, version: &str, key: &str) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{uid}/{version}/{key}").as_bytes());
    digest.as_ref().iter().take(8).fold(String::with_capacity(16), |text, byte| text + &format!("{byte:02x}"))
}

fn looks_generated(password: &str) -> bool {
    password.len() == LENGTH && password.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(hash: &str, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &PasswordHash::new(hash).unwrap()).is_ok()
    }

    #[test]
    fn a_generated_password_is_strong_and_its_hash_is_quick() {
        let password = generate().unwrap();
        assert!(looks_generated(&password) && password != generate().unwrap());
        let credential = credential(&password, true, &salt("u"), "s".into()).unwrap();
        assert!(credential.hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", credential.hash);
        assert!(verify(&credential.hash, &password));
        assert!(!verify(&credential.hash, "another"));
    }

    #[test]
    fn a_password_that_people_chose_gets_a_slow_hash_even_in_our_secret() {
        for generated in [true, false] {
            let credential = credential("Mật khẩu", generated, &salt("u"), "s".into()).unwrap();
            assert!(credential.hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", credential.hash);
            assert!(verify(&credential.hash, "Mật khẩu"));
        }
    }

    #[test]
    fn the_same_password_of_another_version_keeps_its_hash() {
        let new = |password: &str, source: &str| NewPassword {
            password: password.into(),
            generated: false,
            source: source.into(),
        };
        let old = new("one", "1").credential(None, &salt("u")).unwrap();
        let same = new("one", "2").credential(Some(&old), &salt("u")).unwrap();
        assert_eq!((&*same.hash, &*same.source), (&*old.hash, "2"));
        let other = new("one", "1").credential(None, &salt("v")).unwrap();
        assert_ne!(other.hash, old.hash, "the same password of two mailboxes");
        assert_ne!(new("two", "3").credential(Some(&old), &salt("u")).unwrap().hash, old.hash);
        let prints = Prints::default();
        assert_eq!(prints.of("one"), prints.of("one"));
        assert_ne!(prints.of("one"), prints.of("two"));
        assert_ne!(prints.of("one"), Prints::default().of("one"));
    }

    #[test]
    fn the_source_names_version_and_key() {
        assert_eq!(source("u", "1", "password").len(), 16);
        assert_ne!(source("u", "1", "password"), source("u", "2", "password"));
        assert_ne!(source("u", "1", "password"), source("u", "1", "pin"));
    }
}
