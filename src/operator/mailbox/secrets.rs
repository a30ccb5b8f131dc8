//! Events of Secrets: whose passwords they hold, and what becomes of those.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::Event;

use super::{
    controller::Controller,
    credentials::{self, Found},
    index::{Ask, Key, LoginProblem, ObjectName},
    password::NewPassword,
    seen::Change,
    statuses::Target,
};

/// End of the name of a Secret with a generated password.
const GENERATED: &str = "-credentials";

impl Controller {
    pub(super) fn see_secrets(&mut self, event: Event<Secret>) {
        if matches!(event, Event::Init) {
            self.listings.with_secret.clear();
        }
        let done = matches!(event, Event::InitDone);
        for change in self.listings.secrets.fold(event, Vec::new) {
            match change {
                Change::Set(key, secret) => self.see_secret(&key, &secret),
                Change::Gone(key) => self.lose_secret(&key),
            }
        }
        if done {
            self.index.secrets_listed();
            let with_secret = std::mem::take(&mut self.listings.with_secret);
            let without = self.index.mailboxes().map(|(key, _)| key);
            let without: Vec<_> = without.filter(|key| !with_secret.contains(*key)).cloned().collect();
            for key in without {
                self.index.login_unlisted(&key);
            }
        }
    }

    /// The Mailboxes that take their password from this Secret.
    fn users(&self, secret: &ObjectName) -> Vec<Key> {
        let mut users = self.index.users_of(secret).to_vec();
        if let Some(name) = secret.name.strip_suffix(GENERATED) {
            let key = Arc::new(ObjectName::new(&secret.namespace, name));
            users.extend(
                self.index
                    .mailbox(&key)
                    .filter(|it| it.fact.secret.is_none() && it.held.is_none())
                    .map(|_| key),
            );
        }
        users
    }

    fn see_secret(&mut self, name: &ObjectName, secret: &Secret) {
        for key in self.users(name) {
            let Some(mailbox) = self.index.mailbox(&key) else { continue };
            let ask = Ask {
                mailbox: key.clone(),
                uid: mailbox.fact.meta.uid.clone(),
                address: mailbox.fact.address.clone(),
                secret: mailbox.fact.secret.as_deref().cloned(),
            };
            let found = credentials::examine(secret, &ask);
            if found != Found::Stale {
                self.listings.with_secret.insert(key.clone());
                self.found(&key, found);
            }
        }
    }

    fn lose_secret(&mut self, name: &ObjectName) {
        for key in self.users(name) {
            let given = self.index.mailbox(&key).is_some_and(|mailbox| mailbox.fact.secret.is_some());
            if given {
                self.index.login_problem(&key, LoginProblem::NotFound);
            } else {
                self.index.login_unknown(&key);
            }
        }
        let keys = self
            .systems
            .iter_mut()
            .find(|(system, _)| system.namespace == *name.namespace && system.dkim() == *name.name);
        if let Some((_, work)) = keys {
            (work.dkim.done, work.dkim.stale) = (None, true);
        }
    }

    /// Acts on what stands behind a password.
    pub(super) fn found(&mut self, key: &Key, found: Found) {
        match found {
            // It is asked for again when the mailbox gets its address.
            Found::Password { .. } if self.index.listed_in(key).is_none() => self.index.login_unknown(key),
            Found::Password { password, source, generated } => {
                let print = self.prints.of(&password);
                if self.index.login_seen(key, &source, print) {
                    self.hash(key.clone(), NewPassword { password, generated, source }, print);
                }
            }
            Found::Generated(credential) => self.index.login_hashed(key, credential, None),
            Found::Problem(problem) => {
                if matches!(problem, LoginProblem::Refused(_)) {
                    self.again(Target::Mailbox(key.clone()));
                }
                self.index.login_problem(key, problem);
            }
            Found::Stale => self.again(Target::Mailbox(key.clone())),
        }
    }
}
