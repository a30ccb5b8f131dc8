//! DKIM in the controller: when the Secret with the keys is seen to, and whether every Rspamd in service signs with what
//! it says.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;

use super::{
    controller::{Controller, LATER},
    dkim::{Keys, Signer},
    dkim_secret, domain_status,
    index::{DomainFact, Key},
    outcome::Outcome,
    status::Progress,
};
use crate::{
    api::domain::{DnsRecord, KeyUse},
    conditions,
    names::SystemName,
    operator::dns,
};

impl Controller {
    /// Sees to the DKIM keys of the system if its domains changed.
    pub(super) fn sign_due(&mut self, name: &Arc<SystemName>, now: Instant) {
        let Some(work) = self.systems.get_mut(name) else { return };
        let dkim = &mut work.dkim;
        if !dkim.stale || dkim.running || dkim.not_before.is_some_and(|at| at > now) {
            return;
        }
        dkim.stale = false;
        let served = self.index.domains().filter(|(key, _)| self.index.standing(key) == Ok(name));
        let signers = served.map(|(_, fact)| (fact.domain.to_string(), fact.selector.to_string())).collect();
        if dkim.done.as_ref() == Some(&signers) {
            return;
        }
        dkim.running = true;
        let (client, metrics, name) = (self.client.clone(), self.metrics.clone(), name.clone());
        self.tasks.spawn(async move {
            let keys = dkim_secret::ensure(client, metrics, &name, &signers).await;
            Outcome::Dkim(name, signers, keys)
        });
    }

    /// Takes the keys that the Secret has now.
    pub(super) fn signed(
        &mut self,
        name: &SystemName,
        signers: BTreeSet<Signer>,
        keys: Result<Keys, kube::Error>,
    ) {
        let Some(work) = self.systems.get_mut(name) else { return };
        work.dkim.running = false;
        match keys {
            Ok(keys) => {
                work.dkim.not_before = None;
                work.dkim.done = Some(signers);
                if work.dkim.keys != keys {
                    work.dkim.keys = keys;
                    self.trust_status(name);
                    let now = Instant::now();
                    for (key, _) in self.index.domains().filter(|(_, fact)| *fact.system == *name) {
                        self.due_domains.insert(key.clone(), now);
                    }
                }
            }
            Err(error) => {
                tracing::error!(system = %name, %error, "the DKIM keys are not written; trying again");
                work.dkim.stale = true;
                work.dkim.not_before = Some(Instant::now() + LATER / 6);
            }
        }
    }

    /// Whether the DKIM key of a served domain is about to be known.
    pub(super) fn is_making_key(&self, key: &Key) -> bool {
        let (Some(fact), Ok(name)) = (self.index.domain(key), self.index.standing(key)) else { return false };
        let signer = (fact.domain.to_string(), fact.selector.to_string());
        self.systems.get(name).is_some_and(|work| {
            !work.dkim.keys.public.contains_key(&signer) && work.dkim.not_before.is_none()
        })
    }

    /// The keys whose records are to be published for a served MailDomain.
    pub(super) fn keys_of(&self, name: &SystemName, fact: &DomainFact) -> Vec<dns::Key> {
        let signer = (fact.domain.to_string(), fact.selector.to_string());
        let public = self.systems.get(name).and_then(|work| work.dkim.keys.public.get(&signer));
        let key = |public: &String| dns::Key {
            selector: fact.selector.to_string(),
            public: public.clone(),
            use_: KeyUse::Signing,
        };
        public.and_then(|public| public.as_ref().ok()).map(key).into_iter().collect()
    }

    /// What status already says of keys that are still the same was true when it was said, and holds: a pod comes into
    /// service with the keys of that moment.
    fn trust_status(&mut self, name: &SystemName) {
        let Some(work) = self.systems.get_mut(name) else { return };
        for (_, fact) in self.index.domains().filter(|(_, fact)| *fact.system == *name) {
            let signer = (fact.domain.to_string(), fact.selector.to_string());
            let Some(Ok(public)) = work.dkim.keys.public.get(&signer) else { continue };
            let told = |record: &DnsRecord| {
                record.name == format!("{}._domainkey.{}", fact.selector, fact.domain)
                    && record.value.ends_with(&format!("p={public}"))
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
