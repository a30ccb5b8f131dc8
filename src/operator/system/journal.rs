//! The journal of a system: from the spec to what gateways are told, and from what gateways tell to `JournalHealthy`. Pure,
//! but that [`new_key`] draws one.

use age::{
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;

use super::fetch::Fetched;
use crate::{
    api::system::Durability,
    conditions::Finding,
    journal::{
        storage::{Location, keys},
        writer::Report,
    },
    names::SystemName,
    operator::desired::secrets,
    quantity,
};

/// The condition.
pub const HEALTHY: &str = "JournalHealthy";

/// The journal of a checked system.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// Where.
    pub location: Location,
    /// The port of the server.
    pub port: u16,
    /// The Secret with the credentials.
    pub credentials: String,
    /// What happens to mail that object storage does not take.
    pub durability: Durability,
    /// The largest backlog in bytes.
    pub backlog: u64,
    /// Whom it is encrypted for.
    pub keys: Vec<String>,
    /// After how many days what is settled is deleted; never if absent.
    pub retention: Option<u32>,
}

/// Checks the spec; `None` without a journal.
pub fn validate(fetched: &Fetched, wrong: &mut Vec<String>) -> Option<Journal> {
    let spec = fetched.system.spec.journal.as_ref()?;
    let storage = &spec.object_storage;
    let backlog = quantity::bytes(&spec.backlog);
    if backlog.is_none() {
        wrong.push(format!("spec.journal.backlog: {:?} is not a quantity such as 1Gi", spec.backlog));
    }
    for key in spec.additional_keys.iter().filter(|key| key.parse::<Recipient>().is_err()) {
        wrong.push(format!("spec.journal.additionalKeys: {key} is not a public key of age"));
    }
    let port = port(storage.endpoint.as_deref());
    if port.is_none() {
        wrong.push("spec.journal.objectStorage.endpoint: write https://host or https://host:port".to_owned());
    }
    let retention = spec.retention.as_deref().map(days);
    if retention == Some(None) {
        wrong.push("spec.journal.retention: write a number of days from 7d to 30d".to_owned());
    }
    let own = key(fetched, wrong)?;
    let prefix = storage.prefix.clone();
    Some(Journal {
        location: Location {
            endpoint: storage.endpoint.as_deref().map(|it| it.trim_end_matches('/').to_owned()),
            region: storage.region.clone(),
            bucket: storage.bucket.clone(),
            prefix: prefix.unwrap_or_else(|| fetched.name.to_string()),
        },
        port: port?,
        credentials: storage.credentials_secret.clone(),
        durability: spec.durability,
        backlog: backlog?,
        retention: retention.flatten(),
        keys: std::iter::once(own).chain(spec.additional_keys.iter().cloned()).collect(),
    })
}

/// The public key. A key that was there once is never replaced: what was written can be read with it alone. Nor is one
/// used before it is stored.
fn key(fetched: &Fetched, wrong: &mut Vec<String>) -> Option<String> {
    let secret = fetched.journal_key.as_ref()?;
    let text = value(secret, secrets::JOURNAL_IDENTITY).unwrap_or_default();
    let Ok(identity) = text.parse::<Identity>() else {
        wrong.push(format!(
            "Secret {} has no usable key `{}`: bring back the one that was there, since the journal can be read with it alone; if there never was a journal, delete the Secret, and a new one is made",
            fetched.name.journal_key(),
            secrets::JOURNAL_IDENTITY
        ));
        return None;
    };
    Some(identity.to_public().to_string())
}

/// A new key, in its Secret. It has no owner, since it has to outlive the system as its mail does.
#[must_use]
pub fn new_key(name: &SystemName) -> Secret {
    let identity = Identity::generate();
    let data = [
        (secrets::JOURNAL_IDENTITY, identity.to_string().expose_secret().to_owned()),
        (secrets::JOURNAL_RECIPIENT, identity.to_public().to_string()),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.journal_key()),
            namespace: Some(name.namespace.clone()),
            labels: Some(name.labels()),
            ..ObjectMeta::default()
        },
        type_: Some(secrets::JOURNAL_KEY_TYPE.to_owned()),
        data: Some(data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).into()),
        ..Secret::default()
    }
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    let bytes = secret.data.as_ref()?.get(key)?;
    Some(std::str::from_utf8(&bytes.0).ok()?.trim()).filter(|text| !text.is_empty())
}

/// Days in `30d`. Longer than mail waits in a queue; and no longer than a store knows what was deleted (30 days).
#[must_use]
pub fn days(text: &str) -> Option<u32> {
    text.strip_suffix('d')?.parse().ok().filter(|days| (7..=30).contains(days))
}

/// The port in `https://host:port`, else the scheme's.
#[must_use]
pub fn port(endpoint: Option<&str>) -> Option<u16> {
    let Some(endpoint) = endpoint else { return Some(443) };
    let uri: hyper::Uri = endpoint.parse().ok()?;
    uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })
}

/// What the gateways' pods say of their journals, by pod; `None` where one did not answer.
pub type Reports = [(String, Option<Report>)];

/// `JournalHealthy`; nothing without a journal.
#[must_use]
pub fn finding(fetched: &Fetched, reports: &Reports) -> Option<Finding> {
    let spec = fetched.system.spec.journal.as_ref()?;
    let missing = [keys::ID, keys::SECRET]
        .into_iter()
        .find(|key| fetched.journal_credentials.as_ref().and_then(|secret| value(secret, key)).is_none());
    if let Some(key) = missing {
        let name = &spec.object_storage.credentials_secret;
        let message = format!("Secret {name} has no key {key}: create it; {}", meanwhile(spec.durability));
        return Some(Finding::no(HEALTHY, "CredentialsMissing", message));
    }
    let failing = reports
        .iter()
        .find_map(|(pod, report)| Some((pod, report.as_ref()?.reason.as_deref()?, report.as_ref()?)));
    if let Some((pod, code, report)) = failing {
        let (reason, remedy) = remedy(code);
        let said = report.message.as_deref().unwrap_or_default();
        let message = format!("{pod}: {said} ({code}): {remedy}; {}", meanwhile(spec.durability));
        return Some(Finding::no(HEALTHY, reason, message));
    }
    let backlog: u64 = reports.iter().filter_map(|(_, report)| Some(report.as_ref()?.backlog_segments)).sum();
    if backlog > 0 {
        let message = format!("{backlog} segments wait on the gateways' volumes; they are being uploaded");
        return Some(Finding::no(HEALTHY, "Backlog", message));
    }
    let silent = reports.iter().find(|(_, report)| report.as_ref().is_none_or(|report| !report.written));
    Some(match silent {
        _ if reports.is_empty() => Finding::unknown(HEALTHY, "NotObserved", "no gateway is there yet"),
        Some((pod, _)) => {
            Finding::unknown(HEALTHY, "NotObserved", format!("{pod} has not told yet whether it can write"))
        }
        None if spec.durability == Durability::Disabled => {
            Finding::yes(HEALTHY, "Disabled", "nothing is journalled (spec.journal.durability: Disabled)")
        }
        None => Finding::yes(HEALTHY, "Written", "every gateway writes to object storage"),
    })
}

fn meanwhile(durability: Durability) -> &'static str {
    match durability {
        Durability::Required => "no mail is accepted meanwhile (spec.journal.durability: Required)",
        Durability::Preferred => {
            "meanwhile mail is kept on the gateways' volumes alone (spec.journal.durability: Preferred)"
        }
        Durability::Disabled => "nothing is journalled (spec.journal.durability: Disabled)",
    }
}

/// The reason and what to do, by S3's error code.
fn remedy(code: &str) -> (&'static str, &'static str) {
    match code {
        "NoSuchBucket" => {
            ("BucketNotFound", "create the bucket or correct spec.journal.objectStorage.bucket")
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "XAdminUserNotFound"
        | "InvalidToken"
        | "ExpiredToken" => ("CredentialsRefused", "correct the credentials' Secret"),
        "AccessDenied" | "Unauthenticated" | "AllAccessDisabled" => {
            ("AccessDenied", "let these credentials put objects into the bucket")
        }
        "RequestTimeTooSkewed" => ("ClockSkew", "set the clocks of the nodes and of the server"),
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            ("WrongRegion", "correct spec.journal.objectStorage.region")
        }
        "Timeout" => ("StorageSilent", "see why the server is slow"),
        "Unreachable" => (
            "StorageUnreachable",
            "see whether the server runs, and whether its certificate is trusted (key ca.crt of the credentials' Secret)",
        ),
        "BacklogUnusable" => {
            ("BacklogUnusable", "see to the server, and to the space on the gateways' volumes")
        }
        "Unusable" => ("SettingsUnusable", "correct spec.journal or the credentials' Secret"),
        _ => ("StorageFailing", "see the server's log"),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
