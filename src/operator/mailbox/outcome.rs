//! What the controller makes of the outcomes of its work.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::ByteString;
use tokio::time::Instant;

use super::{
    agents::Answer,
    controller::{Controller, LATER},
    credentials::Found,
    dkim::{Keys, Wishes},
    index::{Key, Login, LoginProblem, Mailbox, Named, Print, Which},
    issue::{IssueError, Issued},
    load::Loaded,
    password::PasswordError,
    statuses::{Target, Word, Written},
};
use crate::{directory::Credential, names::SystemName, operator::dns};

/// What work beside the controller came to.
pub(super) enum Outcome {
    /// The directory that the system, of this uid, had.
    Loaded(Arc<SystemName>, Box<str>, Result<Loaded, kube::Error>),
    /// What stands behind a password.
    Found(Key, Which, Found),
    /// A Secret that a directory service names.
    Service(Named, BTreeMap<String, ByteString>),
    /// The password of this version of its Secret was hashed.
    Hashed(Key, Which, String, Result<(Credential, Option<Print>), PasswordError>),
    /// A directory was issued, for the system of this uid.
    Issued(Arc<SystemName>, Box<str>, Issued, Result<u64, IssueError>),
    /// The keys that these wishes led to.
    Dkim(Arc<SystemName>, Wishes, Result<Keys, kube::Error>),
    /// What the DNS has of a MailDomain's records.
    Looked(Key, dns::Answers),
    /// What agents hold.
    Answers(Vec<(Key, Option<Answer>)>),
    /// What gateways say of mailboxes that send in bulk.
    Bulk(Vec<(Key, Option<Answer>)>),
    /// What agents, at these addresses, say of the use of mailboxes.
    Usage(std::collections::BTreeMap<Key, String>, Vec<super::usage::Read>),
    /// A status was written.
    Written(Target, Word, Written),
    /// An object is to be looked at again.
    Again(Target),
    /// What the directory of the system, of this uid, is, after its watch had to start over at this issue.
    Reread(Arc<SystemName>, Box<str>, u64, Result<Loaded, kube::Error>),
    /// A RetiredMailbox was made or deleted, or could not be.
    Shown(Key),
    /// Nothing to be told.
    Nothing,
}

impl Controller {
    pub(super) fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Loaded(name, uid, loaded) => self.loaded(name, &uid, loaded),
            Outcome::Found(key, which, found) => {
                self.passwords = self.passwords.saturating_sub(1);
                // A watch may have brought something newer meanwhile.
                if self.index.is_asked(&key, &which) {
                    self.found(&key, &which, found);
                }
            }
            Outcome::Service(named, data) => {
                self.index.service_secret(&named.system, &named.secret, &data);
            }
            Outcome::Hashed(key, which, source, hashed) => {
                self.passwords = self.passwords.saturating_sub(1);
                match hashed {
                    Ok((credential, print)) => self.index.login_hashed(&key, &which, credential, print),
                    Err(error) => {
                        let problem = LoginProblem::Refused(error.to_string().into());
                        self.index.login_failed(&key, &which, &source, problem);
                        self.again(Target::Mailbox(key));
                    }
                }
            }
            Outcome::Issued(name, uid, issued, result) => self.issued(&name, &uid, issued, &result),
            Outcome::Dkim(name, wishes, keys) => self.signed(&name, wishes, keys),
            Outcome::Looked(key, answers) => self.looked(&key, answers),
            Outcome::Answers(answers) => {
                self.agents.answered(answers);
                self.notice_restored();
                self.confirm();
            }
            Outcome::Bulk(answers) => self.bulk_seen(&answers),
            Outcome::Usage(ips, reads) => self.usage_read(&ips, reads),
            Outcome::Written(target, word, written) => self.written(&target, &word, written),
            Outcome::Again(target) => self.look_again(&target),
            Outcome::Reread(name, uid, number, loaded) => self.reread(&name, &uid, number, loaded),
            Outcome::Shown(key) => self.retirements.done(&key),
            Outcome::Nothing => {}
        }
    }

    fn loaded(&mut self, name: Arc<SystemName>, uid: &str, loaded: Result<Loaded, kube::Error>) {
        let Some(work) = self.systems.get_mut(&name).filter(|work| *work.uid == *uid) else { return };
        match loaded {
            Ok(Loaded { existing, issued }) => {
                work.number = issued.parts.values().map(|part| part.issued).max().unwrap_or_default();
                work.issued = issued;
                self.index.load(&name, existing);
                self.audit(&name);
            }
            Err(error) => {
                tracing::error!(system = %name, %error, "the directory cannot be read; trying again");
                let (client, uid) = (self.client.clone(), work.uid.clone());
                self.tasks.spawn(async move {
                    tokio::time::sleep(LATER).await;
                    let loaded = super::load::load(&client, &name, &uid).await;
                    Outcome::Loaded(name, uid, loaded)
                });
            }
        }
    }

    fn issued(&mut self, name: &SystemName, uid: &str, issued: Issued, result: &Result<u64, IssueError>) {
        let now = Instant::now();
        let Some(work) = self.systems.get_mut(name).filter(|work| *work.uid == *uid) else { return };
        work.issued = issued;
        let count = self.index.system(name).map_or(1, super::index::System::count);
        let included = work.end(result.is_ok(), now);
        match result {
            Ok(number) => {
                work.failure = None;
                work.number = *number;
                if work.former_parts(name, count).next().is_some() {
                    work.former.get_or_insert(now + super::system_work::FORMER);
                }
                if let Some(began) = work.began.take() {
                    self.metrics.latency.observe((now - began).as_secs_f64());
                }
                for target in included.difference(&work.touched) {
                    self.waiting.issued(target, *number, now);
                }
            }
            Err(error) => {
                if !error.is_terminating() {
                    tracing::error!(system = %name, %error, "the directory is not issued; trying again");
                }
                work.failure = error.trouble();
                self.index.rewrite(name);
            }
        }
        if !work.lost.is_empty() {
            work.strike_lost();
            self.index.rewrite(name);
        }
    }

    fn written(&mut self, target: &Target, word: &Word, written: Written) {
        self.statuses.done(target);
        let result = match written {
            Written::Done => "ok",
            Written::Gone => "gone",
            Written::Failed => "failed",
        };
        self.metrics.wrote(if matches!(target, Target::Usage(_)) { "usage" } else { "status" }, result);
        match (written, target) {
            (_, Target::Usage(key)) => self.usage_written(key, written == Written::Done),
            (Written::Done, Target::Mailbox(key)) => self.index.published(key, &word.uid, word.published),
            (Written::Done, Target::Group(key)) => self.group_written(key, word),
            (Written::Failed, _) => self.again(target.clone()),
            _ => {}
        }
    }

    fn look_again(&mut self, target: &Target) {
        match target {
            Target::Mailbox(key) => {
                let refused =
                    |login: &Login| matches!(login, Login::Problem(LoginProblem::Refused(_)) | Login::Asked);
                let passwords = self.index.mailbox(key).into_iter().flat_map(Mailbox::passwords);
                let passwords = passwords.filter(|(_, password)| refused(&password.login));
                let passwords: Vec<_> = passwords.map(|(which, _)| which).collect();
                for which in passwords {
                    self.index.login_unknown(key, &which);
                }
                self.review_mailbox(key);
            }
            Target::Group(key) => self.review_group(key),
            Target::Domain(key) => {
                self.due_domains.insert(key.clone(), Instant::now());
            }
            Target::Retired(_) => {
                self.say_unread(target);
                self.retirements.changed = true;
            }
            Target::System(_) | Target::Usage(_) => {}
        }
    }
}
