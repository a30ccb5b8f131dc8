//! Events of Secrets: whose passwords they hold, and what becomes of those.

use std::{collections::BTreeMap, sync::Arc};

use backon::Retryable;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::watcher::Event};

use super::{
    cluster::{endless_tries, transient},
    controller::Controller,
    credentials::{self, Found},
    index::{Key, LoginProblem, Named, ObjectName, Which},
    outcome::Outcome,
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
            let all = self
                .index
                .mailboxes()
                .flat_map(|(key, mailbox)| mailbox.passwords().map(move |(which, _)| (key.clone(), which)));
            let without: Vec<_> = all.filter(|password| !with_secret.contains(password)).collect();
            for (key, which) in without {
                self.index.login_unlisted(&key, &which);
            }
        }
    }

    /// The passwords that come from this Secret.
    fn users(&self, secret: &ObjectName) -> Vec<(Key, Which)> {
        let named = self.index.users_of(secret).iter().flat_map(|key| {
            let which = self.index.mailbox(key).map(|mailbox| mailbox.passwords_in(&secret.name));
            which.into_iter().flatten().map(|which| (key.clone(), which))
        });
        let mut users: Vec<_> = named.collect();
        if let Some(name) = secret.name.strip_suffix(GENERATED) {
            let key = Arc::new(ObjectName::new(&secret.namespace, name));
            users.extend(
                self.index
                    .mailbox(&key)
                    .filter(|it| it.fact.secret.is_none() && it.held.is_none())
                    .map(|_| (key, Which::Main)),
            );
        }
        users
    }

    fn see_secret(&mut self, name: &ObjectName, secret: &Secret) {
        for system in self.index.systems_naming(name) {
            let empty = BTreeMap::new();
            self.index.service_secret(&system, &name.name, secret.data.as_ref().unwrap_or(&empty));
        }
        for (key, which) in self.users(name) {
            let Some(ask) = self.index.question(&key, &which) else { continue };
            let found = credentials::examine(secret, &ask);
            if found != Found::Stale {
                self.listings.with_secret.insert((key.clone(), which.clone()));
                self.found(&key, &which, found);
            }
        }
    }

    /// Looks up a Secret that a directory service names; changes of it come by the watch.
    pub(super) fn look_up(&mut self, named: Named) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &named.system.namespace);
        self.tasks.spawn(async move {
            let attempt = || secrets.get_opt(&named.secret);
            let found = attempt.retry(endless_tries()).when(transient).await;
            let data = found.ok().flatten().and_then(|secret| secret.data);
            Outcome::Service(named, data.unwrap_or_default())
        });
    }

    fn lose_secret(&mut self, name: &ObjectName) {
        for (key, which) in self.users(name) {
            let given =
                self.index.question(&key, &which).is_some_and(|ask| ask.secret.is_some() && !ask.make);
            if given {
                self.index.login_problem(&key, &which, LoginProblem::NotFound);
            } else {
                self.index.login_unknown(&key, &which);
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
    pub(super) fn found(&mut self, key: &Key, which: &Which, found: Found) {
        match found {
            // It is asked for again when the mailbox gets its address.
            Found::Password { .. } if self.index.listed_in(key).is_none() => {
                self.index.login_unknown(key, which);
            }
            Found::Password { password, source, generated } => {
                let print = self.prints.of(&password);
                if self.index.login_seen(key, which, &source, print) {
                    self.hash(key, which, NewPassword { password, generated, source }, print);
                }
            }
            Found::Generated(credential) => self.index.login_hashed(key, which, credential, None),
            Found::Problem(problem) => {
                if matches!(problem, LoginProblem::Refused(_)) {
                    self.again(Target::Mailbox(key.clone()));
                }
                self.index.login_problem(key, which, problem);
            }
            Found::Stale => self.again(Target::Mailbox(key.clone())),
        }
    }
}
