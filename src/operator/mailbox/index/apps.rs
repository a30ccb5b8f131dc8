//! Which passwords a Mailbox has: the main one, and those of single devices and programs. Pure.

use std::{collections::BTreeMap, sync::Arc};

use super::{Login, Mailbox, MailboxFact, Password, Seat, SecretRef, Sending};
use crate::directory::Credential;

/// A password of a Mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Its main one.
    Main,
    /// The app password of this name.
    App(Arc<str>),
}

/// An app password as the Mailbox names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFact {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is, or is put.
    pub secret: SecretRef,
}

impl MailboxFact {
    /// The Secrets that it names, each once.
    pub fn secrets(&self) -> Vec<&str> {
        let main = self.secret.iter().map(|secret| &*secret.name);
        let mut names: Vec<_> = main.chain(self.apps.iter().map(|app| &*app.secret.name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The Secret that it names for this password; `None` if one is generated under the operator's own name.
    #[must_use]
    pub fn secret_of(&self, which: &Which) -> Option<&SecretRef> {
        match which {
            Which::Main => self.secret.as_deref(),
            Which::App(name) => self.apps.iter().find(|app| app.name == *name).map(|app| &app.secret),
        }
    }
}

impl Mailbox {
    /// With nothing known of its passwords.
    pub(super) fn new(fact: MailboxFact) -> Self {
        let apps = fact.apps.iter().map(|app| (app.name.clone(), Password::default())).collect();
        let (sending, marks) = (Sending::of(&fact), fact.marked);
        Self {
            marks,
            fact,
            password: Password::default(),
            apps,
            sending,
            seat: Seat::default(),
            shares: Vec::new(),
            forward: None,
            circles: false,
            held: None,
        }
    }

    /// Takes what was known of the passwords of the same object as it was before. An app password of another Secret is
    /// another one.
    pub(super) fn inherit(
        &mut self,
        old: &MailboxFact,
        password: Password,
        apps: BTreeMap<Arc<str>, Password>,
    ) {
        self.password = password;
        for (name, mut password) in apps {
            let which = Which::App(name.clone());
            let before = old.secret_of(&which);
            if before.is_none() {
                // Of a Mailbox that could not be read: nothing but the hash is known.
                password.login = Login::Unknown;
            }
            if self.apps.contains_key(&name) && (before.is_none() || before == self.fact.secret_of(&which)) {
                self.apps.insert(name, password);
            }
        }
    }

    /// What is known of this password; `None` if the Mailbox does not have it.
    #[must_use]
    pub fn get(&self, which: &Which) -> Option<&Password> {
        match which {
            Which::Main => Some(&self.password),
            Which::App(name) => self.apps.get(name),
        }
    }

    pub(super) fn get_mut(&mut self, which: &Which) -> Option<&mut Password> {
        match which {
            Which::Main => Some(&mut self.password),
            Which::App(name) => self.apps.get_mut(name),
        }
    }

    /// All of its passwords, the main one first.
    pub fn passwords(&self) -> impl Iterator<Item = (Which, &Password)> {
        let apps = self.apps.iter().map(|(name, password)| (Which::App(name.clone()), password));
        std::iter::once((Which::Main, &self.password)).chain(apps)
    }

    /// The passwords that come from the Secret of this name.
    #[must_use]
    pub fn passwords_in(&self, secret: &str) -> Vec<Which> {
        let named = |which: &Which| self.fact.secret_of(which).is_some_and(|named| *named.name == *secret);
        self.passwords().map(|(which, _)| which).filter(named).collect()
    }

    /// The hashes of its app passwords.
    pub(super) fn app_credentials(&self) -> BTreeMap<String, Credential> {
        let known =
            self.apps.iter().filter_map(|(name, app)| Some((name.to_string(), app.credential.clone()?)));
        known.collect()
    }

    /// Takes the hashes that a directory had, where none is known.
    pub(super) fn remember(&mut self, main: Option<&Credential>, apps: &BTreeMap<String, Credential>) {
        if self.password.credential.is_none() {
            self.password.credential = main.cloned();
        }
        for (name, app) in &mut self.apps {
            if app.credential.is_none() {
                app.credential = apps.get(&**name).cloned();
            }
        }
    }
}
