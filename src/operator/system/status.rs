//! The status of a MailSystem: what was observed comes in, conditions and figures go out. Pure. It says True only of what
//! was seen, Unknown of what was not looked at yet.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use kube::ResourceExt;

use super::{
    audit::Delivery,
    availability::{self, Trouble},
    problems::Problem,
    workloads::{Workload, Workloads},
};
use crate::{
    api::{
        MailSystem,
        system::{ComponentStatus, MailSystemStatus, OnFailure},
    },
    conditions::{self, Finding},
    names,
    operator::{
        mailbox::{Counts, DirectoryTrouble},
        switchover::{Shard, judge},
    },
};

/// The condition that sums up.
pub const READY: &str = "Ready";

/// The condition that tells of many mailboxes that vanished at once. It is there only then.
pub const MASS_DELETION: &str = "MassDeletion";

/// The condition that tells why agents may not have the directory. It is there only then.
pub const DIRECTORY: &str = "DirectoryServed";

/// What a status is made of.
pub struct Observation<'a> {
    /// The object, with its last status.
    pub system: &'a MailSystem,
    /// What runs, after it was applied.
    pub workloads: &'a Workloads,
    /// What came of the checks.
    pub outcome: Outcome<'a>,
    /// Why a component's pods are not ready, where it is known.
    pub trouble: &'a Trouble<'a>,
    /// `JournalHealthy`, if there is to be a journal.
    pub journal: Option<Finding>,
    /// Whether accepted mail is accounted for, if there is a journal.
    pub delivery: Option<Delivery>,
    /// `DirectoryServiceHealthy`, if there is such a service.
    pub ldap: Option<Finding>,
    /// `BackupVerified`.
    pub backups: Finding,
    /// What was seen of the stores; `None` where each shard has one only.
    pub stores: Option<&'a [Shard]>,
    /// Mailboxes and domains, once they were counted.
    pub counts: Option<Counts>,
    /// Now.
    pub now: Time,
}

/// What came of the checks.
pub enum Outcome<'a> {
    /// The system was built, but for the objects that the API server refused.
    Built {
        /// `CertificateValid`.
        certificate: &'a Finding,
        /// When the served certificate expires, seconds of Unix time.
        expires: i64,
        /// What other objects lack.
        problems: &'a [Problem],
        /// What the API server refused, in words.
        refused: &'a [String],
        /// What is somebody else's, in words.
        taken: &'a [String],
    },
    /// Nothing was built: this is wrong with the spec.
    Invalid(String),
}

/// The status to write.
#[must_use]
pub fn status(observation: &Observation) -> MailSystemStatus {
    let system = observation.system;
    let old = system.status.clone().unwrap_or_default();
    let findings = findings(observation);
    let expires = match observation.outcome {
        Outcome::Built { expires, .. } => Timestamp::from_second(expires).ok().map(Time),
        Outcome::Invalid(_) => old.certificate_expiry,
    };
    let counts = observation.counts.clone().unwrap_or(Counts {
        mailboxes: old.mailboxes,
        domains: old.domains,
        ..Counts::default()
    });
    let review = counts.review.or(old.review);
    MailSystemStatus {
        observed_generation: system.metadata.generation,
        conditions: merge(&old.conditions, &findings, system.metadata.generation, &observation.now),
        components: components(observation.workloads),
        shards: observation.stores.into_iter().flatten().map(judge::status).collect(),
        mailboxes: counts.mailboxes,
        domains: counts.domains,
        review,
        certificate_expiry: expires,
        unaccounted: observation.delivery.as_ref().and_then(|delivery| delivery.unaccounted),
        oldest_unaccounted: observation.delivery.as_ref().and_then(|delivery| delivery.oldest.clone()),
    }
}

/// A status whose spec cannot even be read; everything else in it is left as it was.
#[must_use]
pub fn unreadable(old: &[Condition], error: &str, generation: Option<i64>, now: &Time) -> Vec<Condition> {
    let message = format!("the object cannot be read: {error}; correct it, what runs goes on running");
    let findings =
        [Finding::no(READY, "InvalidSpec", message.clone()), Finding::yes("Stalled", "InvalidSpec", message)];
    merge(old, &findings, generation, now)
}

fn merge(old: &[Condition], findings: &[Finding], generation: Option<i64>, now: &Time) -> Vec<Condition> {
    conditions::merge(old, findings, generation, now)
}

fn findings(observation: &Observation) -> Vec<Finding> {
    let spec = &observation.system.spec;
    let (problems, certificate) = match &observation.outcome {
        Outcome::Built { certificate, problems, .. } => (*problems, (*certificate).clone()),
        Outcome::Invalid(_) => (
            &[][..],
            Finding::unknown("CertificateValid", "NotChecked", "the spec has to be corrected first"),
        ),
    };
    let mut parts = availability::findings(
        observation.workloads,
        problems,
        spec.antivirus.on_failure,
        (observation.trouble, observation.stores.map(judge::served).as_ref()),
    );
    parts.extend(observation.journal.clone());
    parts.extend(observation.ldap.clone());
    parts.push(certificate);
    parts.extend(directory(observation));
    let accounted = observation.delivery.as_ref().map(|delivery| delivery.finding.clone());
    // What cannot be checked for a while keeps no part from serving.
    parts.extend(accounted.clone().filter(|finding| finding.status == Some(false)));
    let replication = observation.stores.map(judge::replication);
    let mut all = vec![ready(observation, &parts, replication.as_ref())];
    all.extend(parts);
    all.extend(replication);
    all.extend(stale(observation));
    all.extend(accounted.filter(|finding| finding.status != Some(false)));
    all.push(observation.backups.clone());
    all.extend(deletion(observation));
    all.extend(progress(observation));
    all
}

fn ready(observation: &Observation, parts: &[Finding], replication: Option<&Finding>) -> Finding {
    let finding = match &observation.outcome {
        Outcome::Invalid(message) => Finding::no(READY, "InvalidSpec", message.clone()),
        Outcome::Built { taken, .. } if !taken.is_empty() => {
            Finding::no(READY, "NameTaken", taken.join(". "))
        }
        Outcome::Built { refused, .. } if !refused.is_empty() => Finding::no(
            READY,
            "ApplyFailed",
            format!("the API server refused a part of the system: {}", refused.join("; ")),
        ),
        Outcome::Built { .. } => sum_up(parts, replication),
    };
    if !observation.system.spec.paused {
        return finding;
    }
    let message = format!("changes are not applied while spec.paused is true; {}", finding.message);
    Finding { reason: "Paused", message, ..finding }
}

/// A self-signed certificate is a state one may choose to be in; any other trouble with it is not. A replica that lacks
/// something keeps nothing from serving: it is mentioned.
fn sum_up(parts: &[Finding], replication: Option<&Finding>) -> Finding {
    let matters = |part: &&Finding| part.reason != "SelfSigned";
    if let Some(failed) = parts.iter().filter(matters).find(|part| part.status == Some(false)) {
        let others = parts.iter().filter(matters).filter(|part| part.status == Some(false)).count() - 1;
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        return Finding::no(READY, failed.reason, format!("{}: {}{more}", failed.type_, failed.message));
    }
    if let Some(open) = parts.iter().find(|part| part.status.is_none()) {
        return Finding::unknown(READY, open.reason, format!("{}: {}", open.type_, open.message));
    }
    let lacking = replication.filter(|finding| finding.status == Some(false));
    let message = match lacking.or_else(|| parts.iter().find(|part| part.reason == "Degraded")) {
        Some(first) => format!("every part serves; {}: {}", first.type_, first.message),
        None => "every part serves".to_owned(),
    };
    Finding::yes(READY, "Serving", message)
}

/// That a store serves which may lack changes.
fn stale(observation: &Observation) -> Option<Finding> {
    let shards = observation.stores?;
    let found = judge::stale(shards);
    if found.is_some() || shards.iter().all(|shard| shard.primary().is_some()) {
        return found;
    }
    // Somebody does not say now whether it is over: what was said stands.
    let old = conditions::get(&observation.system.status.as_ref()?.conditions, judge::STALE)?;
    Some(Finding::yes(judge::STALE, "ChangesMayBeMissing", old.message.clone()))
}

/// So many mailboxes vanished that it may have been an accident.
fn deletion(observation: &Observation) -> Option<Finding> {
    let Some(counts) = &observation.counts else {
        // Not counted yet, after a start: what was said stands.
        let old = observation.system.status.as_ref()?;
        let old = conditions::get(&old.conditions, MASS_DELETION)?;
        return Some(Finding::yes(MASS_DELETION, "MailboxesVanished", old.message.clone()));
    };
    let (vanished, word) = (counts.vanished, &counts.confirmation);
    (vanished > 0).then(|| {
        let given = observation.system.annotations().get(names::CONFIRM_DELETION);
        let other = given.filter(|given| *given != word);
        let other = other.map(|given| format!(" The present value, {given}, is not for these.")).unwrap_or_default();
        let message = format!(
            "{vanished} Mailboxes vanished at once. Their mail stays where it is and goes on arriving; nobody can log in to it. If it was an accident, apply the Mailboxes again under their names and addresses. If it was meant, annotate this MailSystem with mail.angiang.gov.vn/confirm-deletion: \"{word}\", which stands for these mailboxes.{other}"
        );
        Finding::yes(MASS_DELETION, "MailboxesVanished", message)
    })
}

/// Why the agents may not have the directory.
fn directory(observation: &Observation) -> Option<Finding> {
    let Some(counts) = &observation.counts else {
        // Not known yet, after a start: what was said stands.
        let old = conditions::get(&observation.system.status.as_ref()?.conditions, DIRECTORY)?;
        return Some(Finding::unknown(DIRECTORY, "NotObserved", old.message.clone()));
    };
    Some(match counts.trouble.as_ref()? {
        DirectoryTrouble::Restored => Finding::unknown(
            DIRECTORY,
            "Restored",
            "the API server had an older directory than the agents, as after a restore from a backup; it is issued again, and not every gateway and store has it yet: until then they answer as before the restore",
        ),
        DirectoryTrouble::NameTaken(message) => Finding::no(DIRECTORY, "NameTaken", message.clone()),
        DirectoryTrouble::Refused(words) => Finding::no(
            DIRECTORY,
            "ApplyFailed",
            format!(
                "the API server refuses the directory, so changes of mailboxes do not reach the agents: {words}"
            ),
        ),
    })
}

/// What tools such as kstatus look for: present only while they apply.
fn progress(observation: &Observation) -> Option<Finding> {
    match &observation.outcome {
        Outcome::Invalid(message) => Some(Finding::yes("Stalled", "InvalidSpec", message.clone())),
        Outcome::Built { .. } => {
            let all = all(observation.workloads);
            let waiting: Vec<_> =
                all.iter().filter(|w| !w.settled || !w.full()).map(|w| w.name.as_str()).collect();
            let message = format!("not all pods are ready and up to date: {}", waiting.join(", "));
            (!waiting.is_empty()).then(|| Finding::yes("Reconciling", "Progressing", message))
        }
    }
}

/// Every workload that is there, gateways first.
fn all(workloads: &Workloads) -> Vec<Workload> {
    let sets = workloads.gateway.iter().chain(workloads.stores.iter().flatten()).map(Workload::from);
    let deployments = workloads.antispam.iter().chain(&workloads.antivirus).map(Workload::from);
    sets.chain(deployments).chain(workloads.cache.iter().map(Workload::from)).collect()
}

/// Whether every pod of every workload is ready and up to date.
#[must_use]
pub fn settled(workloads: &Workloads) -> bool {
    let complete = workloads.gateway.is_some()
        && workloads.cache.is_some()
        && workloads.antispam.is_some()
        && workloads.antivirus.is_some()
        && workloads.stores.iter().all(Option::is_some);
    complete && all(workloads).iter().all(|workload| workload.settled && workload.full())
}

fn components(workloads: &Workloads) -> Vec<ComponentStatus> {
    all(workloads)
        .into_iter()
        .map(|Workload { name, image, desired, ready, .. }| ComponentStatus { name, ready, desired, image })
        .collect()
}

/// How unscanned mail is spoken of.
#[must_use]
pub const fn without_scanner(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Defer => "mail waits until one answers (spec.antivirus.onFailure: Defer)",
        OnFailure::Accept => "mail passes unscanned meanwhile (spec.antivirus.onFailure: Accept)",
    }
}
