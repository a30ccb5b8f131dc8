//! What a password is held against: the hash of a mailbox's credential, or nobody's.
//!
//! Refusals take one time, whether the mailbox exists or not and whatever its hash costs.

use argon2::{
    Argon2, Params,
    password_hash::{self, PasswordVerifier, phc::PasswordHash},
};

use crate::{agent::directory::Found, wire::secret::Secret};

/// What a password is compared with when there is nothing to compare it with: of nobody's password, with the
/// parameters that the operator hashes with.
pub(super) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$kb5q7FmK1A9cSnCwGYtQ0hYz3o5s3bq9eMjk1u2wW8E";

/// What a password is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// This hash.
    Hash(String),
    /// Nothing: there is no such mailbox, or it has no password.
    Nobodys,
}

impl Proof {
    /// That of the mailbox, if there is one.
    pub(super) fn of(found: Option<&Found>) -> Self {
        let credential = found.and_then(|found| found.entry.credential.as_ref());
        credential.map_or(Self::Nobodys, |credential| Self::Hash(credential.hash.clone()))
    }

    /// What stands for it in a mac: another password, another text.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Hash(hash) => hash,
            Self::Nobodys => NOBODYS,
        }
    }

    /// Whether the password is right. Takes tens of milliseconds.
    ///
    /// # Errors
    /// The hash cannot be read.
    pub(super) fn holds(&self, password: &Secret) -> Result<bool, password_hash::Error> {
        let same = |hash: &PasswordHash| Argon2::default().verify_password(password.expose(), hash).is_ok();
        let hash = PasswordHash::new(self.text())?;
        let right = same(&hash);
        // The operator gives passwords that it made itself a cheap hash.
        if !right && Params::try_from(&hash)?.m_cost() < Params::DEFAULT_M_COST {
            same(&PasswordHash::new(NOBODYS)?);
        }
        Ok(right && *self != Self::Nobodys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::password::{credential, generate};
    use std::time::Instant;

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs() {
        let chosen = credential("chosen by a person", false, String::new()).unwrap().hash;
        let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(cost(NOBODYS), cost(&chosen));
        let length = |hash: &str| PasswordHash::new(hash).unwrap().hash.unwrap().len();
        assert_eq!(length(NOBODYS), length(&chosen));
    }

    #[test]
    fn a_wrong_password_costs_the_same_where_the_right_one_is_cheap() {
        let password = generate().unwrap();
        let cheap = Proof::Hash(credential(&password, true, String::new()).unwrap().hash);
        let time = |password: &str| {
            let start = Instant::now();
            let right = cheap.holds(&Secret::new(password.to_owned())).unwrap();
            (right, start.elapsed())
        };
        let (right, quick) = time(&password);
        let (wrong, slow) = time("wrong");
        assert!(right && !wrong && slow > quick * 5, "{quick:?} {slow:?}");
    }
}
