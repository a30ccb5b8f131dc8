//! What status says of a MailDomain, its DNS records among it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    dkim::DkimError,
    index::{DomainFact, Key, Obstacle},
    status::{Progress, obstacle_message, obstacle_reason},
};
use crate::{
    api::{MailDomainStatus, domain::DnsRecord},
    conditions::{self, Finding},
    operator::dns::{self, Answers, Needs},
};

/// What a MailDomain's status is made of.
pub struct DomainView<'a> {
    /// The object.
    pub fact: &'a DomainFact,
    /// Why it is not served, if it is not.
    pub obstacle: Option<Obstacle>,
    /// Mailboxes listed in it.
    pub mailboxes: u32,
    /// What decides of its records, if it is served.
    pub needs: Option<Needs<'a>>,
    /// What the DNS has of them, if it was asked.
    pub answers: Option<&'a Answers>,
    /// Its public key; `None` while it is not known yet.
    pub key: Option<Result<String, DkimError>>,
    /// How far the agents of gateways are.
    pub progress: Progress,
    /// How far those beside Rspamd are.
    pub signing: Progress,
}

/// Condition: outgoing mail is signed.
pub const SIGNING: &str = "DkimKeyAvailable";

/// The status of a MailDomain.
#[must_use]
pub fn domain(key: &Key, view: &DomainView<'_>, now: &Time) -> MailDomainStatus {
    let ready = match (&view.obstacle, view.progress) {
        (Some(obstacle), _) => {
            Finding::no("Ready", obstacle_reason(obstacle), obstacle_message(obstacle, key))
        }
        (None, Progress::Awaiting) => {
            Finding::unknown("Ready", "AwaitingAgents", "Not every gateway accepts mail for the domain yet.")
        }
        (None, Progress::Served) => {
            Finding::yes("Ready", "Served", "Every gateway accepts mail for the domain.")
        }
    };
    let dkim = match (&view.key, view.signing) {
        (None, _) => Finding::unknown(SIGNING, "Pending", "The key is made when the domain is served."),
        (Some(Ok(_)), Progress::Served) => {
            let selector = view.needs.iter().flat_map(|needs| &needs.keys).map(|key| &*key.selector).next();
            let selector = selector.unwrap_or_default();
            Finding::yes(
                SIGNING,
                "KeyAvailable",
                format!("Every anti-spam pod in service signs with the key of {selector}."),
            )
        }
        (Some(Ok(_)), Progress::Awaiting) => Finding::unknown(
            SIGNING,
            "AwaitingAgents",
            "Not every anti-spam pod in service has the key yet, or none is in service.",
        ),
        (Some(Err(error)), _) => {
            let reason = if matches!(error, DkimError::NameTaken(_)) { "NameTaken" } else { "KeyUnusable" };
            Finding::no(SIGNING, reason, format!("Mail is not signed: {error}."))
        }
    };
    let listed = view.needs.as_ref().map(|needs| records(view.fact, needs, view.answers)).unwrap_or_default();
    let (generation, dns_records) = (Some(view.fact.meta.generation), listed);
    let dns = if dns_records.is_empty() {
        Finding::unknown("DNSReady", "Pending", "The records are looked up when the domain is served.")
    } else if view.fact.dns_check {
        dns::verdict(&dns_records)
    } else {
        Finding::unknown("DNSReady", "CheckDisabled", "spec.dnsCheck is false.")
    };
    MailDomainStatus {
        observed_generation: generation,
        mailboxes: view.mailboxes,
        dns_records,
        conditions: conditions::merge(&view.fact.published.conditions, &[ready, dkim, dns], generation, now),
    }
}

/// The records of a served domain, with what was found of them.
#[must_use]
pub fn records(fact: &DomainFact, needs: &Needs<'_>, answers: Option<&Answers>) -> Vec<DnsRecord> {
    let before = if fact.dns_check { fact.published.dns_records.as_slice() } else { &[] };
    let expected = dns::expected(needs, answers);
    let judged = expected.iter().map(|expected| dns::judge(expected, answers, before));
    // The names of addresses stand in status until the addresses are looked up again.
    let pointers = before.iter().filter(|record| answers.is_none() && record.purpose == "PTR");
    judged.chain(pointers.cloned()).collect()
}
