//! What status says of a MailDomain, its DNS records among it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    dkim::DkimError,
    index::{DomainFact, Key, Limits, Obstacle, Occupancy},
    status::{Progress, obstacle_message, obstacle_reason},
};
use crate::{
    api::{MailDomainStatus, domain::DnsRecord},
    conditions::{self, Finding},
    operator::dns::{self, Answers, Needs},
    quantity,
};

/// What a MailDomain's status is made of.
pub struct DomainView<'a> {
    /// The object.
    pub fact: &'a DomainFact,
    /// Why it is not served, if it is not.
    pub obstacle: Option<Obstacle>,
    /// Its mailboxes, and who wants to be one.
    pub occupancy: Occupancy,
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
/// Condition: what the domain has is within its limits, and nobody is kept out by them.
const LIMITS: &str = "WithinLimits";

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
    let limits = view.obstacle.is_none().then(|| within_limits(&view.fact.limits, &view.occupancy)).flatten();
    let findings: Vec<_> = [ready, dkim, dns].into_iter().chain(limits).collect();
    MailDomainStatus {
        observed_generation: generation,
        mailboxes: view.occupancy.mailboxes,
        allocated_quota: Some(quantity::text(view.occupancy.quota)),
        waiting: view.occupancy.waiting,
        dns_records,
        conditions: conditions::merge(&view.fact.published.conditions, &findings, generation, now),
    }
}

/// How far the limits are used up. Nothing where there are none.
fn within_limits(limits: &Limits, has: &Occupancy) -> Option<Finding> {
    let quota = |bytes| quantity::text(bytes);
    let count = limits.mailboxes.map(|most| format!("{} of {most} mailboxes", has.mailboxes));
    let sum = limits.quota.map(|most| format!("{} of {} quota", quota(has.quota), quota(most.into())));
    let used = [count, sum].into_iter().flatten().reduce(|count, sum| format!("{count} and {sum}"))?;
    let over = limits.mailboxes.is_some_and(|most| has.mailboxes > most)
        || limits.quota.is_some_and(|most| has.quota > most.into());
    let ways = "Raise spec.limits, or delete Mailboxes or lower their quotas.";
    Some(match (over, has.waiting) {
        (true, _) => Finding::no(
            LIMITS,
            "OverLimits",
            format!("The domain has {used}. What is there goes on working; nothing is added. {ways}"),
        ),
        (false, 0) => Finding::yes(LIMITS, "WithinLimits", format!("The domain has {used}.")),
        (false, waiting) => Finding::no(
            LIMITS,
            "LimitReached",
            format!(
                "The domain has {used}. Mailboxes that are not served for it, or not with the quota that they ask for: {waiting}. {ways}"
            ),
        ),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(
        mailboxes: Option<u32>,
        quota: Option<u64>,
        has: (u32, u128, u32),
    ) -> Option<(Option<bool>, String)> {
        let occupancy = Occupancy { mailboxes: has.0, quota: has.1, waiting: has.2 };
        let finding = within_limits(&Limits { mailboxes, quota }, &occupancy)?;
        Some((finding.status, format!("{}: {}", finding.reason, finding.message)))
    }

    #[test]
    fn limits_are_told_with_what_is_used_of_them_and_only_where_there_are_any() {
        let gib = 1 << 30;
        assert_eq!(told(None, None, (5, 9, 0)), None);
        let (status, text) = told(Some(10), None, (10, 5 * gib, 0)).unwrap();
        assert_eq!((status, text.as_str()), (Some(true), "WithinLimits: The domain has 10 of 10 mailboxes."));
        let (status, text) = told(Some(10), Some(20 << 30), (10, 5 * gib, 3)).unwrap();
        assert_eq!(status, Some(false));
        assert!(
            text.starts_with("LimitReached: The domain has 10 of 10 mailboxes and 5Gi of 20Gi quota."),
            "{text}"
        );
        assert!(text.contains(": 3.") && text.contains("Raise spec.limits"), "{text}");
        for (mailboxes, quota) in [(Some(9), None), (None, Some(4 << 30))] {
            let (status, text) = told(mailboxes, quota, (10, 5 * gib, 0)).unwrap();
            assert_eq!(status, Some(false));
            assert!(text.starts_with("OverLimits") && text.contains("goes on working"), "{text}");
        }
    }
}
