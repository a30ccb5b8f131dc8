//! How a mailbox comes by its password hash: the states between a Secret and a credential. Pure; the work that it asks
//! for is done in `credentials`.

use super::{Index, Key, SecretRef};
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
    /// There is no password to check against.
    Problem(LoginProblem),
}

impl Login {
    /// Whether a credential that is there may be used: not one that is known to be of a former Secret.
    pub(super) const fn may_serve(&self) -> bool {
        matches!(self, Self::Known | Self::Unknown | Self::Asked)
    }
}

/// Why nobody can log in to a mailbox.
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

/// Work for `credentials`: find or make the password of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The mailbox.
    pub mailbox: Key,
    /// Its uid.
    pub uid: Box<str>,
    /// Its address, which a generated Secret repeats.
    pub address: std::sync::Arc<str>,
    /// The Secret it names; `None` means that one is generated.
    pub secret: Option<SecretRef>,
}

impl Index {
    /// The source of the credential that this mailbox has, or of the hash under way.
    #[must_use]
    pub fn source(&self, key: &Key) -> Option<&str> {
        let mailbox = self.mailboxes.get(key)?;
        match &mailbox.login {
            Login::Hashing(source) => Some(source),
            _ => mailbox.credential.as_ref().map(|credential| credential.source.as_str()),
        }
    }

    /// The present Secret was found to be the one the credential, or the hash under way, is of.
    pub fn login_confirmed(&mut self, key: &Key) {
        if let Some(mailbox) = self.mailboxes.get_mut(key)
            && !matches!(mailbox.login, Login::Hashing(_) | Login::Known)
        {
            mailbox.login = Login::Known;
            self.touch_content(key);
        }
    }

    /// The password of this version of the Secret is being hashed.
    pub fn login_hashing(&mut self, key: &Key, source: &str) {
        self.set_login(key, Login::Hashing(source.into()));
    }

    /// Nobody can log in, for this reason.
    pub fn login_problem(&mut self, key: &Key, problem: LoginProblem) {
        self.set_login(key, Login::Problem(problem));
    }

    /// The Secret must be looked up again.
    pub fn login_unknown(&mut self, key: &Key) {
        self.set_login(key, Login::Unknown);
    }

    /// The Secret was not among all those listed. One that is being asked for, or was found missing, is in hand.
    pub fn login_unlisted(&mut self, key: &Key) {
        let in_hand = |login: &Login| {
            matches!(login, Login::Asked | Login::Problem(LoginProblem::NotFound | LoginProblem::Refused(_)))
        };
        if self.mailboxes.get(key).is_some_and(|mailbox| !in_hand(&mailbox.login)) {
            self.changes.mailboxes.insert(key.clone());
            self.login_unknown(key);
        }
    }

    /// A hash is ready. One of a version that is no longer wanted is dropped.
    pub fn login_hashed(&mut self, key: &Key, credential: Credential) {
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        let wanted = match &mailbox.login {
            Login::Hashing(source) => **source == *credential.source,
            // A generated password is hashed before its Secret is seen.
            Login::Asked => true,
            _ => false,
        };
        if wanted {
            mailbox.credential = Some(credential);
            mailbox.login = Login::Known;
            self.touch_content(key);
        }
    }

    /// Whether the answer to an [`Ask`] still matters.
    #[must_use]
    pub fn is_asked(&self, key: &Key) -> bool {
        self.mailboxes.get(key).is_some_and(|mailbox| mailbox.login == Login::Asked)
    }

    fn set_login(&mut self, key: &Key, login: Login) {
        if let Some(mailbox) = self.mailboxes.get_mut(key)
            && mailbox.login != login
        {
            mailbox.login = login;
            self.touch_content(key);
        }
    }

    /// Turns an unknown login of a mailbox in the directory into an [`Ask`], once Secrets were listed.
    pub(super) fn ask(&mut self, key: &Key) {
        if !self.secrets_listed {
            return;
        }
        let Some(system) = self.listed_in(key) else { return };
        if !self.systems.get(&system).is_some_and(|system| system.loaded) {
            return;
        }
        let Some(mailbox) = self.mailboxes.get_mut(key).filter(|mailbox| mailbox.login == Login::Unknown)
        else {
            return;
        };
        mailbox.login = Login::Asked;
        self.changes.asks.push(Ask {
            mailbox: key.clone(),
            uid: mailbox.fact.meta.uid.clone(),
            address: mailbox.fact.address.clone(),
            secret: mailbox.fact.secret.as_deref().cloned(),
        });
    }
}
