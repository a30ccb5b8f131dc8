//! DKIM in the controller: when the Secret with the keys is seen to, and whether every Rspamd in service signs with what
//! it says.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{
    controller::{Controller, LATER},
    dkim::{Keys, Wishes},
    dkim_secret, domain_status,
    index::{DomainFact, Key},
    outcome::Outcome,
    rotation::{self, Dated, Wish},
    status::Progress,
};
use crate::{
    api::domain::{DnsRecord, KeyUse, RecordState},
    conditions,
    names::SystemName,
    operator::{cluster::is_terminating, dns},
};

/// Keys whose time has not come are looked at this often: clocks are set, and instants do not follow.
const HOUR: Duration = Duration::from_hours(1);

impl Controller {
    /// Sees to the DKIM keys of the system if something changed, or if it is time to.
    pub(super) fn sign_due(&mut self, name: &Arc<SystemName>, now: Instant) {
        let Some(work) = self.systems.get(name) else { return };
        let dkim = &work.dkim;
        let time = dkim.due.is_some_and(|at| at <= now);
        if !(dkim.stale || time) || dkim.running || dkim.not_before.is_some_and(|at| at > now) {
            return;
        }
        let served = self.index.domains().filter(|(key, _)| self.index.standing(key) == Ok(name));
        let wishes: Wishes =
            served.map(|(key, fact)| (fact.domain.to_string(), self.wish(name, key, fact))).collect();
        let same = dkim.done.as_ref() == Some(&wishes) && !time;
        let Some(work) = self.systems.get_mut(name) else { return };
        work.dkim.stale = false;
        if same {
            return;
        }
        work.dkim.running = true;
        let (client, metrics, name) = (self.client.clone(), self.metrics.clone(), name.clone());
        self.tasks.spawn(async move {
            let keys = dkim_secret::ensure(client, metrics, &name, &wishes).await;
            Outcome::Dkim(name, wishes, keys)
        });
    }

    fn wish(&self, name: &SystemName, key: &Key, fact: &DomainFact) -> Wish {
        let next =
            self.systems.get(name).and_then(|work| work.dkim.keys.rings.get(&*fact.domain)?.next.as_ref());
        let seen = next.filter(|_| fact.dns_check).filter(|next| {
            let name = dns::key_name(&next.selector, &fact.domain);
            let seen = |record: &DnsRecord| {
                record.name == name
                    && record.key_use == Some(KeyUse::Next)
                    && record.state == Some(RecordState::Ok)
            };
            self.needs(key, fact).is_some_and(|needs| {
                domain_status::records(fact, &needs, self.checks.answers(key)).iter().any(seen)
            })
        });
        Wish {
            selector: fact.selector.to_string(),
            rotate_every: fact.rotate_every,
            dns_check: fact.dns_check,
            seen: seen.map(|next| next.selector.clone()),
            hold: self.index.is_domain_unreadable(key),
        }
    }

    /// Takes the keys that the Secret has now.
    pub(super) fn signed(&mut self, name: &SystemName, wishes: Wishes, keys: Result<Keys, kube::Error>) {
        let now = Instant::now();
        let Some(work) = self.systems.get_mut(name) else { return };
        work.dkim.running = false;
        match keys {
            Ok(keys) => {
                work.dkim.not_before = None;
                let due = wishes.iter().filter_map(|(domain, wish)| keys.rings.get(domain)?.due(wish)).min();
                work.dkim.due = due.map(|at| {
                    let seconds = u64::try_from(at - Timestamp::now().as_second()).unwrap_or_default();
                    now + Duration::from_secs(seconds + 1).min(HOUR)
                });
                if keys.taken {
                    work.dkim.due = Some(now + LATER);
                }
                work.dkim.done = Some(wishes);
                if work.dkim.keys != keys {
                    work.dkim.keys = keys;
                    self.trust_status(name);
                    for (key, _) in self.index.domains().filter(|(_, fact)| *fact.system == *name) {
                        self.due_domains.insert(key.clone(), now);
                    }
                }
            }
            Err(error) => {
                if !is_terminating(&error) {
                    tracing::error!(system = %name, %error, "the DKIM keys are not written; trying again");
                }
                work.dkim.stale = true;
                work.dkim.not_before = Some(now + LATER / 6);
            }
        }
    }

    /// Whether the DKIM key of a served domain is about to be known.
    pub(super) fn is_making_key(&self, key: &Key) -> bool {
        let (Some(fact), Ok(name)) = (self.index.domain(key), self.index.standing(key)) else { return false };
        let dkim = self.systems.get(name).map(|work| &work.dkim);
        dkim.is_some_and(|dkim| dkim.keys.signing(&fact.domain).is_none() && dkim.not_before.is_none())
    }

    /// The keys whose records are to be published for a served MailDomain, the one in use first.
    pub(super) fn keys_of(&self, name: &SystemName, fact: &DomainFact) -> Vec<dns::Key> {
        let Some(keys) = self.systems.get(name).map(|work| &work.dkim.keys) else { return Vec::new() };
        let Some(ring) = keys.rings.get(&*fact.domain) else { return Vec::new() };
        let over = |at| (!fact.dns_check).then_some(at + rotation::WITHOUT_CHECK);
        let signing = [(&ring.signing, KeyUse::Signing, None)];
        let next = ring.next.iter().map(|next| (next, KeyUse::Next, over(next.at)));
        // A former key that comes next is listed as that.
        let comes = |key: &&Dated| ring.next.as_ref().is_none_or(|next| next.selector != key.selector);
        let former = ring.former.iter().filter(comes).map(|key| (key, KeyUse::Former, Some(key.at)));
        let all = signing.into_iter().chain(next).chain(former);
        let listed = all.filter_map(|(key, use_, until)| {
            let public = keys.public.get(&(fact.domain.to_string(), key.selector.clone()))?.clone().ok()?;
            Some(dns::Key { selector: key.selector.clone(), public, use_, until })
        });
        listed.collect()
    }

    /// What status already says of a key that signs was true when it was said, and holds: a pod comes into service with
    /// the keys of that moment.
    fn trust_status(&mut self, name: &SystemName) {
        let Some(work) = self.systems.get_mut(name) else { return };
        for (_, fact) in self.index.domains().filter(|(_, fact)| *fact.system == *name) {
            let Some(ring) = work.dkim.keys.rings.get(&*fact.domain) else { continue };
            let Some(Ok(public)) = work.dkim.keys.signing(&fact.domain) else { continue };
            let told = |record: &DnsRecord| {
                record.name == dns::key_name(&ring.signing.selector, &fact.domain)
                    && record.value.ends_with(&format!("p={public}"))
                    && matches!(record.key_use, None | Some(KeyUse::Signing))
            };
            let said = conditions::is_true(&fact.published.conditions, domain_status::SIGNING)
                && fact.published.dns_records.iter().any(told);
            if let (true, Some(mark)) = (said, work.dkim.keys.marks.get(&*fact.domain)) {
                work.dkim.confirmed.insert(fact.domain.to_string(), mark.clone());
            }
        }
    }

    /// Whether every Rspamd in service signs for the MailDomain, as far as there is a key to sign with.
    pub(super) fn signing(&self, key: &Key) -> Progress {
        let (Some(fact), Ok(name)) = (self.index.domain(key), self.index.standing(key)) else {
            return Progress::Served;
        };
        let Some(dkim) = self.systems.get(name).map(|work| &work.dkim) else { return Progress::Awaiting };
        match dkim.keys.marks.get(&*fact.domain) {
            Some(mark) if dkim.confirmed.get(&*fact.domain) == Some(mark) => Progress::Served,
            Some(mark) if !self.agents.sign(name, &fact.domain, mark) => Progress::Awaiting,
            _ => Progress::Served,
        }
    }

    /// Notes that every Rspamd in service signs for the MailDomain.
    pub(super) fn note_signing(&mut self, key: &Key) {
        let (Some(fact), Ok(name)) = (self.index.domain(key), self.index.standing(key)) else { return };
        if let Some(dkim) = self.systems.get_mut(name).map(|work| &mut work.dkim)
            && let Some(mark) = dkim.keys.marks.get(&*fact.domain)
        {
            dkim.confirmed.insert(fact.domain.to_string(), mark.clone());
        }
    }
}
