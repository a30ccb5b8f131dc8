//! What the agents in service hold: pods come from a watch, answers from `GET /status` of each, and the question is
//! whether every one that matters holds an issue. Polling is done only while something waits.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::net::TcpStream;

use super::index::Key;
use crate::{
    agent::sockets::passwords::ldap::Report as Service,
    directory::Keeping,
    http,
    journal::{ledger, writer::Report},
    names::{Component, MANAGER, REPLICA, ROLE_LABEL, SHARD_LABEL, SystemName, ports},
};

/// How long one agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Largest answer that is read.
const LARGEST: usize = 1 << 20;

/// What an agent runs beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Postfix and nginx.
    Gateway,
    /// Cyrus of this shard.
    Store(u32),
    /// Rspamd.
    Antispam,
}

/// A pod with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPod {
    /// Its system.
    pub system: SystemName,
    /// What it runs beside.
    pub beside: Beside,
    /// Where it answers; `None` while it has no address.
    pub ip: Option<String>,
    /// Whether it is in service.
    pub ready: bool,
    /// It is the replica of a shard: what it says of mail counts for nothing.
    pub replica: bool,
}

impl AgentPod {
    /// The agent of `pod`, if it has one and is not going away.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let label = |name: &str| pod.labels().get(name).map(String::as_str);
        let component = label("app.kubernetes.io/component")?;
        let is = |other: Component| component == other.as_str();
        let beside = match () {
            () if pod.metadata.deletion_timestamp.is_some() => return None,
            () if is(Component::Gateway) => Beside::Gateway,
            () if is(Component::Store) => Beside::Store(label(SHARD_LABEL)?.parse().ok()?),
            () if is(Component::Antispam) => Beside::Antispam,
            () => return None,
        };
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        Some(Self {
            system: SystemName::new(pod.namespace()?, label("app.kubernetes.io/instance")?),
            beside,
            ip: status.and_then(|status| status.pod_ip.clone()),
            replica: label(ROLE_LABEL) == Some(REPLICA),
            ready: conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        })
    }

    /// The label selector of pods with agents.
    #[must_use]
    pub fn selector() -> String {
        format!("app.kubernetes.io/name={MANAGER},app.kubernetes.io/component in (gateway,store,antispam)")
    }
}

/// What an agent holds.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    /// Parts of the directory: the number by Secret.
    #[serde(default)]
    pub directory: BTreeMap<String, u64>,
    /// What is signed with, by domain; see [`crate::signing::Signer::mark`].
    #[serde(default)]
    pub dkim: BTreeMap<String, String>,
    /// What a store has.
    #[serde(default)]
    pub store: StoreAnswer,
    /// How a gateway's journal is, if it has one.
    #[serde(default)]
    pub journal: Option<Report>,
    /// What a gateway knows of the mail that it accepted, if it has a journal.
    #[serde(default)]
    pub audit: Option<ledger::Report>,
    /// How a gateway's directory services are, by name.
    #[serde(default)]
    pub ldap: BTreeMap<String, Service>,
    /// Mailboxes that send in bulk, by address.
    #[serde(default)]
    pub bulk: BTreeMap<String, BulkAnswer>,
}

/// What a gateway says of a mailbox that sends in bulk.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct BulkAnswer {
    /// The suspension that was last lifted, when it was seen; 0 for none.
    pub resumed: i64,
}

/// What a store has.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StoreAnswer {
    /// Retired mail, and mail that is to have an heir, by uid. `None` until the store knows.
    #[serde(default)]
    pub retired: Option<BTreeMap<String, Keeping>>,
    /// Mailboxes that it does not have as wanted, by address.
    #[serde(default)]
    pub failures: BTreeMap<String, StoreFailure>,
}

/// Why a store does not have a mailbox as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoreFailure {
    /// In one word.
    pub reason: String,
    /// In a sentence without its full stop.
    pub message: String,
}

/// Agents and what they last said.
#[derive(Debug, Default)]
pub struct Agents {
    pods: HashMap<Key, AgentPod>,
    answers: HashMap<Key, Answer>,
}

impl Agents {
    /// A pod is there, changed, or (`None`) is not in service any more. Gives its system if it came into service.
    pub fn see(&mut self, key: &Key, pod: Option<AgentPod>) -> Option<SystemName> {
        let ip = pod.as_ref().and_then(|pod| pod.ip.clone());
        let came = pod.as_ref().filter(|pod| pod.ready).map(|pod| pod.system.clone());
        let old = match pod {
            Some(pod) => self.pods.insert(key.clone(), pod),
            None => self.pods.remove(key),
        };
        let was_ready = old.as_ref().is_some_and(|old| old.ready && old.ip == ip);
        if old.is_none_or(|old| old.ip != ip) {
            self.answers.remove(key);
        }
        came.filter(|_| !was_ready)
    }

    /// The pods known, for a new listing to be compared with.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.pods.keys()
    }

    /// Whom to ask about these systems: pod and address.
    #[must_use]
    pub fn to_ask(&self, wanted: impl Fn(&SystemName) -> bool) -> Vec<(Key, String)> {
        let asked = self.pods.iter().filter(|(_, pod)| pod.ready && wanted(&pod.system));
        asked.filter_map(|(key, pod)| Some((key.clone(), pod.ip.clone()?))).collect()
    }

    /// The gateways in service: pod and address.
    #[must_use]
    pub fn gateways(&self) -> Vec<(Key, String)> {
        let gateways = self.pods.iter().filter(|(_, pod)| pod.ready && pod.beside == Beside::Gateway);
        gateways.filter_map(|(key, pod)| Some((key.clone(), pod.ip.clone()?))).collect()
    }

    /// The agents in service that tell of the use of mailboxes.
    pub fn tellers(&self) -> impl Iterator<Item = (&Key, &AgentPod)> {
        self.pods.iter().filter(|(_, pod)| pod.ready && !pod.replica && pod.beside != Beside::Antispam)
    }

    /// The system of a pod.
    #[must_use]
    pub fn system_of(&self, pod: &Key) -> Option<SystemName> {
        self.pods.get(pod).map(|pod| pod.system.clone())
    }

    /// Notes answers; an agent that did not answer is taken to hold nothing.
    pub fn answered(&mut self, answers: Vec<(Key, Option<Answer>)>) {
        for (key, answer) in answers {
            match answer {
                Some(answer) if self.pods.contains_key(&key) => self.answers.insert(key, answer),
                _ => self.answers.remove(&key),
            };
        }
    }

    /// Whether every agent in service of the system has answered.
    #[must_use]
    pub fn all_answered(&self, system: &SystemName) -> bool {
        let mut pods = self.pods.iter().filter(|(_, pod)| pod.ready && pod.system == *system);
        pods.all(|(key, _)| self.answers.contains_key(key))
    }

    /// The highest number under which an agent of the system holds a part, of those higher than `known` says of the part.
    #[must_use]
    pub fn beyond(&self, system: &SystemName, known: impl Fn(&str) -> u64) -> Option<u64> {
        let answers = self.pods.iter().filter(|(_, pod)| pod.system == *system);
        let held = answers.filter_map(|(key, _)| self.answers.get(key)).flat_map(|answer| &answer.directory);
        held.filter(|(part, number)| **number > known(part)).map(|(_, number)| *number).max()
    }

    /// What the store of this shard says of the mail of this uid; `None` while it does not.
    #[must_use]
    pub fn keeping(&self, system: &SystemName, shard: u32, uid: &str) -> Option<Keeping> {
        self.store(system, shard)?.retired.as_ref()?.get(uid).copied()
    }

    /// Why the store of this shard does not have the mailbox of this address as wanted, if it said so.
    #[must_use]
    pub fn failure(&self, system: &SystemName, shard: u32, address: &str) -> Option<&StoreFailure> {
        self.store(system, shard)?.failures.get(address)
    }

    /// What the store that serves this shard said last.
    fn store(&self, system: &SystemName, shard: u32) -> Option<&StoreAnswer> {
        let serves = |pod: &AgentPod| pod.ready && !pod.replica && pod.beside == Beside::Store(shard);
        let mut stores = self.pods.iter().filter(|(_, pod)| pod.system == *system && serves(pod));
        Some(&self.answers.get(stores.next()?.0)?.store)
    }

    /// Whether every gateway in service and, if `store` is given, every pod of that shard holds each part under at
    /// least its number. False without a gateway or without a store.
    #[must_use]
    pub fn hold(&self, system: &SystemName, store: Option<u32>, parts: &[(String, u64)]) -> bool {
        let (mut gateways, mut stores) = (0, 0);
        for (key, pod) in self.pods.iter().filter(|(_, pod)| pod.ready && pod.system == *system) {
            match pod.beside {
                Beside::Gateway => gateways += 1,
                Beside::Store(shard) if Some(shard) == store => stores += 1,
                _ => continue,
            }
            let Some(answer) = self.answers.get(key) else { return false };
            if parts.iter().any(|(name, number)| answer.directory.get(name).is_none_or(|held| held < number))
            {
                return false;
            }
        }
        gateways > 0 && (store.is_none() || stores > 0)
    }

    /// Whether every Rspamd in service signs for `domain` with the key of this `mark`. False without one.
    #[must_use]
    pub fn sign(&self, system: &SystemName, domain: &str, mark: &str) -> bool {
        let mut pods = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.ready && pod.beside == Beside::Antispam && pod.system == *system);
        let signs = |(key, _)| {
            let answer: Option<&Answer> = self.answers.get(key);
            answer.is_some_and(|answer| answer.dkim.get(domain).is_some_and(|held| held == mark))
        };
        let first = pods.next();
        first.is_some_and(signs) && pods.all(signs)
    }
}

/// Asks all of them at the same time; at most [`PATIENCE`].
pub async fn ask(pods: Vec<(Key, String)>) -> Vec<(Key, Option<Answer>)> {
    let asking = pods.into_iter().map(|(key, ip)| async move { (key, ask_one(&ip).await) });
    futures::future::join_all(asking).await
}

/// Asks the agent at this address; at most [`PATIENCE`].
pub async fn ask_one(ip: &str) -> Option<Answer> {
    get(ip, "/status").await
}

/// What the agent at this address answers at `path`, if it does so as agreed within [`PATIENCE`].
pub async fn get<T: DeserializeOwned>(ip: &str, path: &str) -> Option<T> {
    tokio::time::timeout(PATIENCE, fetch(ip, path)).await.ok().flatten()
}

async fn fetch<T: DeserializeOwned>(ip: &str, path: &str) -> Option<T> {
    let stream = TcpStream::connect((ip, ports::HTTP)).await.ok()?;
    serde_json::from_slice(&http::fetch(stream, ip, path, LARGEST).await.ok()?).ok()
}

#[cfg(test)]
#[path = "agents_tests.rs"]
mod tests;
