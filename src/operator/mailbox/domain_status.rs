//! What status says of a MailDomain, and the DNS records to publish. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    dkim::DkimError,
    index::{DomainFact, Key, Obstacle},
    status::{Progress, obstacle_message, obstacle_reason},
};
use crate::{
    api::{MailDomainStatus, domain::DnsRecord},
    conditions::{self, Finding},
};

/// What a MailDomain's status is made of.
pub struct DomainView<'a> {
    /// The object.
    pub fact: &'a DomainFact,
    /// Why it is not served, if it is not.
    pub obstacle: Option<Obstacle>,
    /// Mailboxes listed in it.
    pub mailboxes: u32,
    /// Host name of its system.
    pub hostname: Option<&'a str>,
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
            Finding::yes(SIGNING, "KeyAvailable", "Every anti-spam pod in service signs with the key.")
        }
        (Some(Ok(_)), Progress::Awaiting) => Finding::unknown(
            SIGNING,
            "AwaitingAgents",
            "Not every anti-spam pod in service has the key yet, or none is in service.",
        ),
        (Some(Err(error)), _) => Finding::no(SIGNING, "KeyUnusable", format!("Mail is not signed: {error}.")),
    };
    let generation = Some(view.fact.meta.generation);
    MailDomainStatus {
        observed_generation: generation,
        mailboxes: view.mailboxes,
        dns_records: records(view),
        conditions: conditions::merge(&view.fact.published.conditions, &[ready, dkim], generation, now),
    }
}

fn records(view: &DomainView<'_>) -> Vec<DnsRecord> {
    let (None, Some(hostname)) = (&view.obstacle, view.hostname) else { return Vec::new() };
    let domain = &*view.fact.domain;
    let record = |purpose: &str, name: String, type_: &str, value: String| DnsRecord {
        purpose: purpose.to_owned(),
        name,
        type_: type_.to_owned(),
        value,
    };
    let mut records = vec![
        record("MX", domain.to_owned(), "MX", format!("10 {hostname}.")),
        record("SPF", domain.to_owned(), "TXT", "v=spf1 mx -all".to_owned()),
    ];
    if let Some(Ok(key)) = &view.key {
        records.push(dkim_record(domain, &view.fact.selector, key));
    }
    let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    records.push(record("DMARC", format!("_dmarc.{domain}"), "TXT", dmarc));
    records
}

/// The record with a public key.
#[must_use]
pub fn dkim_record(domain: &str, selector: &str, public: &str) -> DnsRecord {
    DnsRecord {
        purpose: "DKIM".to_owned(),
        name: format!("{selector}._domainkey.{domain}"),
        type_: "TXT".to_owned(),
        value: format!("v=DKIM1; k=rsa; p={public}"),
    }
}
