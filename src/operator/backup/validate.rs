//! From what was fetched to [`Validated`], or to what is lacking. Without IO.
//!
//! A spec that cannot be carried out, or a Secret that is not there, lets nothing begin; a mail system that is not there yet
//! keeps backups from being made and lets the repository be listed: that is how a lost cluster begins.

use jiff::tz::TimeZone;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::api::resource::Quantity};
use kube::{Resource, ResourceExt};

use super::{
    Place,
    fetch::Fetched,
    source,
    validated::{Store, Validated, Verify},
};
use crate::{
    api::{MailBackup, MailSystem, backup::Retention},
    backup::{
        retention::Keep,
        schedule::{Error, Policy, Schedule},
    },
    images::Images,
    job::Selected,
    journal::storage::keys,
    names::SystemName,
    operator::system::validated::Volume,
    quantity,
};

/// The key of the Secret with the password.
const PASSWORD: &str = "password";
/// Jobs are told which mailboxes in their environment, which has room for so many bytes.
const SELECTOR: usize = 60_000;

/// What keeps a MailBackup from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In a word.
    pub reason: &'static str,
    /// In a sentence, with what to do.
    pub message: String,
    /// Whether the repository can be listed, and backups be proven, all the same.
    pub lists: bool,
}

impl Problem {
    /// Nothing can be done.
    pub(super) fn stops(reason: &'static str, message: String) -> Self {
        Self { reason, message, lists: false }
    }

    fn waits(reason: &'static str, message: String) -> Self {
        Self { reason, message, lists: true }
    }
}

/// What became of the checks.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is carried out; `None` if nothing can be.
    pub validated: Option<Validated>,
    /// The first thing that is lacking.
    pub problem: Option<Problem>,
}

/// Checks what was fetched.
#[must_use]
pub fn validate(fetched: &Fetched, images: &Images) -> Checked {
    let checked = spec(fetched, images).and_then(|validated| match lacking(fetched) {
        Some(problem) => Err(problem),
        None => Ok(validated),
    });
    match checked {
        Err(problem) => Checked { validated: None, problem: Some(problem) },
        Ok(validated) => {
            let problem = waiting(fetched, &validated);
            Checked { validated: Some(validated), problem }
        }
    }
}

/// What the spec says.
fn spec(fetched: &Fetched, images: &Images) -> Result<Validated, Problem> {
    let backup = &fetched.backup;
    let (spec, namespace) = (&backup.spec, backup.namespace().unwrap_or_default());
    let wrong = |text: &str| Problem::stops("InvalidSpec", text.to_owned());
    let place = Place::of(&namespace, spec)
        .ok_or_else(|| wrong("spec.repository: name a bucket at https://host[:port], or a volume"))?;
    let owner = backup.controller_owner_ref(&()).ok_or_else(|| wrong("the object has no uid"))?;
    let deadline = spec.starting_deadline.as_deref().map(duration);
    if deadline == Some(None) {
        return Err(wrong("spec.startingDeadline: write a number of minutes, hours or days, such as 2h"));
    }
    let system = SystemName::new(&namespace, &spec.system.name);
    let schedule = schedule("spec.schedule", spec.schedule.as_deref(), &spec.time_zone)?;
    Ok(Validated {
        name: backup.name_any(),
        owner,
        encryption: spec.encryption_secret.clone(),
        zone: TimeZone::get(&spec.time_zone).map_err(|_| no_zone(&spec.time_zone))?,
        policy: Policy { suspended: spec.suspend, deadline: deadline.flatten() },
        mailboxes: selected(backup)?,
        keep: keep(spec.retention.as_ref()),
        reclaim: spec.reclaim_policy,
        verify: verify(backup, fetched.system.as_ref())?,
        store: fetched.system.as_ref().map(|it| Store { shards: source::sources(fetched, it, &system) }),
        images: images.clone(),
        system,
        place,
        schedule,
    })
}

fn schedule(field: &str, pattern: Option<&str>, zone: &str) -> Result<Option<Schedule>, Problem> {
    let Some(pattern) = pattern else { return Ok(None) };
    let problem = |error: Error| match error {
        Error::Pattern(..) => Problem::stops("InvalidSchedule", format!("{field}: {error}")),
        Error::Never(_) => Problem::stops(
            "ScheduleNeverFires",
            format!("{field}: {error}: correct its day of month and month"),
        ),
        Error::Zone(_) => no_zone(zone),
    };
    Schedule::parse(pattern, zone).map(Some).map_err(problem)
}

fn no_zone(zone: &str) -> Problem {
    Problem::stops("UnknownTimeZone", format!("spec.timeZone: {}", Error::Zone(zone.to_owned())))
}

fn duration(text: &str) -> Option<std::time::Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    Some(std::time::Duration::from_mins(number.parse::<u64>().ok()?.checked_mul(minutes)?))
}

fn selected(backup: &MailBackup) -> Result<Option<Selected>, Problem> {
    let Some(selector) = &backup.spec.mailboxes else { return Ok(None) };
    let fold = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
    let selected = Selected { addresses: fold(&selector.addresses), domains: fold(&selector.domains) };
    let size: usize = selected.addresses.iter().chain(&selected.domains).map(|name| name.len() + 3).sum();
    if size > SELECTOR {
        let message =
            "spec.mailboxes: these addresses are too long together; name domains instead, or leave it out";
        return Err(Problem::stops("SelectorTooLarge", message.to_owned()));
    }
    Ok(Some(selected))
}

fn keep(retention: Option<&Retention>) -> Keep {
    let Some(it) = retention else { return Keep::default() };
    Keep {
        last: it.keep_last.unwrap_or_default(),
        hourly: it.keep_hourly.unwrap_or_default(),
        daily: it.keep_daily.unwrap_or_default(),
        weekly: it.keep_weekly.unwrap_or_default(),
        monthly: it.keep_monthly.unwrap_or_default(),
        yearly: it.keep_yearly.unwrap_or_default(),
    }
}

fn verify(backup: &MailBackup, system: Option<&MailSystem>) -> Result<Verify, Problem> {
    let spec = &backup.spec.verify;
    let store = system.map(|system| &system.spec.store.storage);
    let size = spec.scratch.size.clone().or_else(|| store.map(|store| store.size.clone()));
    // Without a system nothing is proven.
    let size = size.unwrap_or_else(|| "1Gi".to_owned());
    if quantity::bytes(&size).is_none_or(|bytes| bytes == 0) {
        let message = format!("spec.verify.scratch.size: {size:?} is not a quantity such as 100Gi");
        return Err(Problem::stops("InvalidSpec", message));
    }
    let class = spec.scratch.storage_class_name.clone();
    let class = class.or_else(|| store.and_then(|store| store.storage_class_name.clone()));
    Ok(Verify {
        mode: spec.mode,
        schedule: schedule("spec.verify.schedule", spec.schedule.as_deref(), &backup.spec.time_zone)?,
        sample: spec.sample_percent.min(100),
        scratch: Volume { size: Quantity(size), class },
    })
}

/// Without which nothing can be done at all.
fn lacking(fetched: &Fetched) -> Option<Problem> {
    let spec = &fetched.backup.spec;
    if let Some(rival) = &fetched.rival {
        let message = format!(
            "MailBackup {rival}, which is older, keeps its backups in this place or within it: give this one another prefix or path, or delete the other"
        );
        return Some(Problem::stops("RepositoryInUse", message));
    }
    let name = &spec.encryption_secret;
    if value(fetched.encryption.as_ref(), PASSWORD).is_none() {
        let message = format!(
            "Secret {name} has no key {PASSWORD}, or an empty one: nothing is stored unencrypted. Create it, and keep a copy elsewhere: no backup can be read without it"
        );
        return Some(Problem::stops("EncryptionSecretMissing", message));
    }
    if let Some(storage) = &spec.repository.object_storage
        && let Some(key) =
            [keys::ID, keys::SECRET].into_iter().find(|key| value(fetched.storage.as_ref(), key).is_none())
    {
        let message = format!("Secret {} has no key {key}: create it", storage.credentials_secret);
        return Some(Problem::stops("CredentialsMissing", message));
    }
    if let Some(volume) = spec.repository.volume.as_ref().filter(|_| !fetched.claim) {
        let message = format!(
            "there is no PersistentVolumeClaim {}: create it, with storage that pods on every node of stores can mount",
            volume.claim
        );
        return Some(Problem::stops("ClaimMissing", message));
    }
    None
}

/// Without which no backup can be made.
fn waiting(fetched: &Fetched, validated: &Validated) -> Option<Problem> {
    let Some(store) = &validated.store else {
        let message = format!(
            "there is no MailSystem {} yet; what the repository has is listed meanwhile, and nothing is removed from it",
            validated.system.name
        );
        return Some(Problem::waits("SystemMissing", message));
    };
    if !fetched.selected {
        let message = "no Mailbox has such an address, and none is in such a domain: correct spec.mailboxes, or leave it out for all";
        return Some(Problem::waits("SelectorMatchesNothing", message.to_owned()));
    }
    let unready = store.shards.iter().find_map(|source| source.as_ref().err());
    unready.map(|why| Problem::waits("StoreNotReady", why.clone()))
}

fn value<'a>(secret: Option<&'a Secret>, key: &str) -> Option<&'a [u8]> {
    let bytes = secret?.data.as_ref()?.get(key)?;
    Some(bytes.0.trim_ascii()).filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
