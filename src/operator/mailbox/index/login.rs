//! How a mailbox comes by its password hash: the states between a Secret and a credential. Pure; the work that it asks
//! for is done in `credentials`.
//!
//! A credential that was made once serves until another one is made or the mailbox goes: a Secret that is being hashed,
//! was deleted or became unusable locks nobody out.

use super::{Index, Key, SecretRef, Which};
use crate::directory::Credential;

/// What is known of the password of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Nothing yet: its Secret was not seen.
    #[default]
    Unknown,
    /// The Secret was asked for, or is being made.
    Asked,
    /// The password of this version of the Secret is being hashed.
    Hashing(Box<str>),
    /// The mailbox's credential is that of the present Secret.
    Known,
    /// The present Secret gives no password.
    Problem(LoginProblem),
}

/// Why a Secret gives no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginProblem {
    /// The Secret does not exist.
    NotFound,
    /// It has not the key.
    KeyMissing,
    /// The value is empty, or not UTF-8 without control characters.
    Empty,
    /// A Secret of the generated one's name exists and is not the operator's.
    Conflict,
    /// The API server refused the Secret, with its words.
    Refused(Box<str>),
}

/// Tells whether two passwords are one, within this process: a mac whose key is never written down.
pub type Print = [u8; 16];

/// A password: what is known of its Secret, and the hash that serves.
#[derive(Clone, Debug, Default)]
pub struct Password {
    /// The hash last made, with the version of the Secret it was made from.
    pub credential: Option<Credential>,
    /// Whether `credential` is that of the present Secret.
    pub login: Login,
    /// Print of the password of `credential`, once this process saw it.
    print: Option<Print>,
}

impl Password {
    /// One whose hash is all that is known.
    pub(super) fn known(credential: Option<Credential>) -> Self {
        Self { credential, login: Login::Known, print: None }
    }

    /// Takes the version `source` of the Secret. Whether it must be hashed: not if it is hashed or being hashed, and not
    /// if only its labels differ from what was hashed.
    fn see(&mut self, source: &str, print: Option<Print>) -> bool {
        if matches!(&self.login, Login::Hashing(under_way) if **under_way == *source) {
            return false;
        }
        if let Some(credential) = &mut self.credential {
            let same = print.is_some() && print == self.print;
            if same || credential.source == source {
                // A changed source alone is not worth an issue: it goes out with the next one.
                source.clone_into(&mut credential.source);
                (self.login, self.print) = (Login::Known, print);
                return false;
            }
        }
        self.login = Login::Hashing(source.into());
        true
    }

    /// Takes a hash, unless it is of a version that is no longer wanted. Whether the directory's content differs.
    fn hashed(&mut self, made: Credential, print: Option<Print>) -> Option<bool> {
        let wanted = match &self.login {
            Login::Hashing(source) => **source == *made.source,
            // A generated password is hashed before its Secret is seen.
            Login::Asked => true,
            _ => false,
        };
        wanted.then(|| {
            let changed = self.credential.as_ref().is_none_or(|old| old.hash != made.hash);
            (self.credential, self.login, self.print) = (Some(made), Login::Known, print);
            changed
        })
    }
}

/// Work for `credentials`: find or make the password of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The mailbox.
    pub mailbox: Key,
    /// Which of its passwords.
    pub which: Which,
    /// Its uid.
    pub uid: Box<str>,
    /// Its address, which a generated Secret repeats.
    pub address: std::sync::Arc<str>,
    /// The Secret it names; `None` means that one is generated.
    pub secret: Option<SecretRef>,
    /// Whether the Secret that it names is to be made if it does not exist.
    pub make: bool,
}

impl Index {
    /// The present Secret is the version `source`, with a password of this print. Whether it must be hashed.
    pub fn login_seen(&mut self, key: &Key, which: &Which, source: &str, print: Option<Print>) -> bool {
        let password = self.mailboxes.get_mut(key).and_then(|mailbox| mailbox.get_mut(which));
        let Some(password) = password else { return false };
        let before = password.login.clone();
        let hash = password.see(source, print);
        if password.login != before {
            self.changes.mailboxes.insert(key.clone());
        }
        hash
    }

    /// The Secret gives no password, for this reason.
    pub fn login_problem(&mut self, key: &Key, which: &Which, problem: LoginProblem) {
        self.set_login(key, which, Login::Problem(problem));
    }

    /// The version `source` of the Secret could not be hashed.
    pub fn login_failed(&mut self, key: &Key, which: &Which, source: &str, problem: LoginProblem) {
        let under_way = |login: &Login| matches!(login, Login::Hashing(version) if **version == *source);
        if self.login(key, which).is_some_and(under_way) {
            self.login_problem(key, which, problem);
        }
    }

    /// The Secret must be looked up again.
    pub fn login_unknown(&mut self, key: &Key, which: &Which) {
        self.set_login(key, which, Login::Unknown);
    }

    /// The Secret was not among all those listed. One that is being asked for, or was found missing, is in hand.
    pub fn login_unlisted(&mut self, key: &Key, which: &Which) {
        let in_hand = |login: &Login| {
            matches!(login, Login::Asked | Login::Problem(LoginProblem::NotFound | LoginProblem::Refused(_)))
        };
        let held = self.mailboxes.get(key).is_some_and(|mailbox| mailbox.held.is_some());
        if !held && self.login(key, which).is_some_and(|login| !in_hand(login)) {
            self.changes.mailboxes.insert(key.clone());
            self.login_unknown(key, which);
        }
    }

    /// A hash is ready, of a password of this print. One of a version that is no longer wanted is dropped.
    pub fn login_hashed(&mut self, key: &Key, which: &Which, made: Credential, print: Option<Print>) {
        let password = self.mailboxes.get_mut(key).and_then(|mailbox| mailbox.get_mut(which));
        match password.and_then(|password| password.hashed(made, print)) {
            Some(true) => self.touch_content(key),
            Some(false) => drop(self.changes.mailboxes.insert(key.clone())),
            None => {}
        }
    }

    /// Whether the answer to an [`Ask`] still matters.
    #[must_use]
    pub fn is_asked(&self, key: &Key, which: &Which) -> bool {
        self.login(key, which) == Some(&Login::Asked)
    }

    /// What is known of a password.
    #[must_use]
    pub fn login(&self, key: &Key, which: &Which) -> Option<&Login> {
        self.mailboxes.get(key)?.get(which).map(|password| &password.login)
    }

    fn set_login(&mut self, key: &Key, which: &Which, login: Login) {
        if let Some(password) = self.mailboxes.get_mut(key).and_then(|mailbox| mailbox.get_mut(which))
            && password.login != login
        {
            password.login = login;
            self.changes.mailboxes.insert(key.clone());
        }
    }

    /// What is to be asked about a password of a mailbox.
    #[must_use]
    pub fn question(&self, key: &Key, which: &Which) -> Option<Ask> {
        let mailbox = self.mailboxes.get(key)?;
        let password = mailbox.get(which)?;
        Some(Ask {
            mailbox: key.clone(),
            which: which.clone(),
            uid: mailbox.fact.meta.uid.clone(),
            address: mailbox.fact.address.clone(),
            secret: mailbox.fact.secret_of(which).cloned(),
            // One that was in use is not replaced unasked.
            make: matches!(which, Which::App(_)) && password.credential.is_none(),
        })
    }

    /// Turns the unknown logins of a mailbox in the directory into [`Ask`]s, once Secrets were listed.
    pub(super) fn ask(&mut self, key: &Key) {
        if !self.secrets_listed {
            return;
        }
        let Some(system) = self.listed_in(key) else { return };
        if !self.systems.get(&system).is_some_and(|system| system.loaded) {
            return;
        }
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        if mailbox.fact.is_shared() {
            mailbox.password.login = Login::Known;
            return;
        }
        let mailbox = &*mailbox;
        let unknown = mailbox.passwords().filter(|(_, password)| password.login == Login::Unknown);
        let unknown: Vec<_> = unknown.map(|(which, _)| which).collect();
        for which in unknown {
            let ask = self.question(key, &which);
            self.changes.asks.extend(ask);
            let password = self.mailboxes.get_mut(key).and_then(|mailbox| mailbox.get_mut(&which));
            if let Some(password) = password {
                password.login = Login::Asked;
            }
        }
    }
}
