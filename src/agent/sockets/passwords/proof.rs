//! What a password is held against: the hashes of a mailbox's passwords, or nobody's.
//!
//! Refusals take one time, whether the mailbox exists or not and whatever its hashes cost. Hashes of one salt and one cost
//! (the operator gives all passwords of a mailbox the same) are compared with one computation, however many there are.
//! A password that a directory service knows has no hash here: it stands last, and is asked for elsewhere.

use argon2::{
    Argon2, Params, PasswordHasher,
    password_hash::{
        self,
        phc::{Output, PasswordHash},
    },
};

use crate::{
    agent::directory::Found,
    directory::{Credential, Ldap},
    wire::secret::Secret,
};

/// What a password is compared with when there is nothing to compare it with: of nobody's password, with the
/// parameters that the operator hashes with.
pub(super) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$kb5q7FmK1A9cSnCwGYtQ0hYz3o5s3bq9eMjk1u2wW8E";

/// A password of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The name of the app password; none for the main one.
    pub(super) name: Option<String>,
    /// See [`Credential::tag`].
    pub(super) tag: String,
    hash: String,
}

/// What a password is held against. Nothing, if there is no such mailbox or it has no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof(Vec<Held>, Option<Held>);

impl Proof {
    /// That of the mailbox, if there is one, whose main password the directory service knows, if that is given.
    pub(super) fn of(found: Option<&Found>, ldap: Option<&Ldap>) -> Self {
        let local = ldap.is_none_or(|ldap| ldap.fallback_local);
        let held = |(name, credential): (Option<&str>, &Credential)| Held {
            name: name.map(str::to_owned),
            tag: credential.tag(),
            hash: credential.hash.clone(),
        };
        let own = found.into_iter().flat_map(|found| found.entry.credentials());
        let own = own.filter(|(app, _)| local || app.is_some()).map(held).collect();
        let hash = |ldap: &Ldap| format!("ldap {}", ldap.name);
        Self(own, ldap.map(|ldap| Held { name: None, tag: ldap.tag(), hash: hash(ldap) }))
    }

    /// Whether there is nothing to hold a password against.
    pub(super) fn is_nobodys(&self) -> bool {
        self.0.is_empty() && self.1.is_none()
    }

    /// Whether a password is to be hashed: for nobody, too.
    pub(super) fn has_hashes(&self) -> bool {
        !self.0.is_empty() || self.1.is_none()
    }

    /// The password of this number.
    pub(super) fn get(&self, which: usize) -> Option<Held> {
        self.0.get(which).or(self.1.as_ref().filter(|_| which == self.0.len())).cloned()
    }

    /// The number of the password that the directory service knows.
    pub(super) fn outside(&self) -> usize {
        self.0.len()
    }

    /// What stands for it in a mac: another password, another text.
    pub(super) fn text(&self) -> String {
        if self.is_nobodys() {
            return NOBODYS.to_owned();
        }
        let hashes: Vec<_> = self.0.iter().chain(&self.1).map(|held| held.hash.as_str()).collect();
        hashes.join("\n")
    }

    /// The number of the password that it is. Takes tens of milliseconds.
    ///
    /// # Errors
    /// It is none that can be read, and one cannot be read.
    pub(super) fn holds(&self, password: &Secret) -> Result<Option<usize>, password_hash::Error> {
        let (mut unreadable, mut readable) = (None, Vec::new());
        for (which, held) in self.0.iter().enumerate() {
            match Readable::of(&held.hash) {
                Ok(hash) => readable.push((which, hash)),
                Err(error) => unreadable = Some(error),
            }
        }
        // The operator gives passwords that it made itself a cheap hash.
        readable.sort_by_key(|(_, hash)| hash.cost);
        let mut computed: Vec<(&str, Output)> = Vec::new();
        for (which, hash) in &readable {
            let known = computed.iter().find(|(setting, _)| *setting == hash.setting);
            let output = match known {
                Some((_, output)) => *output,
                None => hash.compute(password)?,
            };
            // In constant time, as this type compares.
            if output == hash.output {
                return Ok(Some(*which));
            }
            if known.is_none() {
                computed.push((hash.setting, output));
            }
        }
        if readable.last().is_none_or(|(_, hash)| hash.cost < Params::DEFAULT_M_COST) {
            Readable::of(NOBODYS)?.compute(password)?;
        }
        unreadable.map_or(Ok(None), Err)
    }
}

/// A hash in its parts.
struct Readable<'a> {
    /// Everything but the output.
    setting: &'a str,
    hash: PasswordHash,
    output: Output,
    cost: u32,
}

impl<'a> Readable<'a> {
    fn of(text: &'a str) -> Result<Self, password_hash::Error> {
        let hash = PasswordHash::new(text)?;
        let cost = Params::try_from(&hash)?.m_cost();
        let output = hash.hash.ok_or(password_hash::Error::PasswordInvalid)?;
        Ok(Self { setting: text.rsplit_once('$').map_or(text, |(setting, _)| setting), hash, output, cost })
    }

    /// What `password` comes to in this setting.
    fn compute(&self, password: &Secret) -> Result<Output, password_hash::Error> {
        let salt = self.hash.salt.ok_or(password_hash::Error::PasswordInvalid)?;
        let params = Params::try_from(&self.hash)?;
        let version = self.hash.version.map(argon2::Version::try_from).transpose()?.unwrap_or_default();
        let argon2 = Argon2::new(argon2::Algorithm::try_from(self.hash.algorithm.as_str())?, version, params);
        let made = argon2.hash_password_with_salt(password.expose(), &salt)?;
        made.hash.ok_or(password_hash::Error::PasswordInvalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::password::{credential, generate, salt};
    use std::time::{Duration, Instant};

    fn proof(credentials: &[&Credential]) -> Proof {
        let held = |(n, it): (usize, &&Credential)| Held {
            name: (n > 0).then(|| format!("app{n}")),
            tag: it.tag(),
            hash: it.hash.clone(),
        };
        Proof(credentials.iter().enumerate().map(held).collect(), None)
    }

    fn hashed(password: &str, generated: bool) -> Credential {
        credential(password, generated, &salt("u"), String::new()).unwrap()
    }

    fn time(proof: &Proof, password: &str) -> (Option<usize>, Duration) {
        let start = Instant::now();
        let right = proof.holds(&Secret::new(password.to_owned())).unwrap();
        (right, start.elapsed())
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs() {
        let chosen = hashed("chosen by a person", false).hash;
        let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(cost(NOBODYS), cost(&chosen));
        let length = |hash: &str| PasswordHash::new(hash).unwrap().hash.unwrap().len();
        assert_eq!(length(NOBODYS), length(&chosen));
    }

    #[test]
    fn a_wrong_password_costs_the_same_where_the_right_one_is_cheap() {
        let password = generate().unwrap();
        let cheap = proof(&[&hashed(&password, true)]);
        let ((right, quick), (wrong, slow)) = (time(&cheap, &password), time(&cheap, "wrong"));
        assert!(right == Some(0) && wrong.is_none() && slow > quick * 5, "{quick:?} {slow:?}");
    }

    #[test]
    fn each_password_is_known_and_many_cost_what_one_costs() {
        let texts: Vec<_> = (0..20).map(|n| format!("chosen {n}")).collect();
        let mut all: Vec<_> = texts.iter().map(|text| hashed(text, false)).collect();
        let made = generate().unwrap();
        all.push(hashed(&made, true));
        let many = proof(&all.iter().collect::<Vec<_>>());
        assert_eq!(time(&many, "chosen 0").0, Some(0));
        assert_eq!(time(&many, "chosen 19").0, Some(19));
        assert_eq!(time(&many, &made).0, Some(20));
        let ((_, one), (wrong, many)) = (time(&proof(&[&all[0]]), "wrong"), time(&many, "wrong"));
        assert!(wrong.is_none() && many < one * 5, "{one:?} {many:?}");
    }

    #[test]
    fn a_hash_that_cannot_be_read_is_told_unless_another_one_is_right() {
        let broken = Credential { hash: "what?".into(), source: String::new() };
        let both = proof(&[&broken, &hashed("right", false)]);
        assert_eq!(both.holds(&Secret::new("right")).unwrap(), Some(1));
        assert!(both.holds(&Secret::new("wrong")).is_err());
        assert_eq!(Proof::default().holds(&Secret::new("wrong")).unwrap(), None);
    }
}
