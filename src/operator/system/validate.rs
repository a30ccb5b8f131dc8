//! From what was fetched to [`Validated`], or to the list of what is wrong with the spec. Without IO; random bytes and
//! the time come in, and only a self-signed certificate draws a key of its own.
//!
//! What depends on other objects (a missing storage class, missing signatures) is no error here: the rest of the system
//! is built all the same, and a [`Problem`] tells status.

use std::net::SocketAddr;

use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use kube::Resource;

use super::{
    certificate::{self, Serve},
    fetch::Fetched,
    journal, ldap,
    pair::{Pair, SelfSignError, self_signed},
    problems::{self, Problem},
    validated::{Antispam, Antivirus, Gateway, Signatures, Store, Validated, Volume},
    values::{Hostname, RelayHost, Token},
    workloads,
};
use crate::{
    api::system::Storage, conditions::Finding, images::Images, operator::desired::secrets, quantity,
};

/// Size of the cache's volume.
const CACHE_SIZE: &str = "1Gi";

/// Why nothing is built.
#[derive(thiserror::Error, Debug)]
pub enum ValidateError {
    /// The spec says what cannot be; each entry names a field and what to do.
    #[error("{}", .0.join("; "))]
    InvalidSpec(Vec<String>),
    /// The object is not as the API server makes it.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
    /// No certificate could be made.
    #[error(transparent)]
    Certificate(#[from] SelfSignError),
}

/// A checked system and what is to be said about it.
#[derive(Debug)]
pub struct Checked {
    /// What is built.
    pub validated: Validated,
    /// The condition `CertificateValid`.
    pub certificate: Finding,
    /// What other objects lack.
    pub problems: Vec<Problem>,
}

/// Checks `fetched` at `now` (seconds of Unix time); `random` becomes the token if there is none yet.
///
/// # Errors
/// The spec is wrong; nothing is built then.
pub fn validate(
    fetched: &Fetched,
    images: &Images,
    random: [u8; 32],
    now: i64,
) -> Result<Checked, ValidateError> {
    let spec = &fetched.system.spec;
    let mut wrong = Vec::new();
    let hostname = Hostname::parse(&spec.hostname);
    if hostname.is_none() {
        wrong.push(format!(
            "spec.hostname: {:?} is not a lower-case host name of two or more labels",
            spec.hostname
        ));
    }
    tls(fetched, &mut wrong);
    resolver(fetched, &mut wrong);
    let token = token(fetched, random, &mut wrong);
    let gateway = gateway(fetched, &mut wrong);
    let store = store(fetched, &mut wrong);
    let antispam = antispam(fetched, &mut wrong);
    let antivirus = antivirus(fetched, &mut wrong);
    let journal = journal::validate(fetched, &mut wrong);
    let ldap_ports = ldap::validate(fetched, &mut wrong);
    let (Some(hostname), Some(token), Some(gateway), Some(store), true) =
        (hostname, token, gateway, store, wrong.is_empty())
    else {
        return Err(ValidateError::InvalidSpec(wrong));
    };
    let (pair, certificate) = pair(fetched, &hostname, now)?;
    let cache = Volume {
        size: Quantity(CACHE_SIZE.to_owned()),
        class: spec.store.storage.storage_class_name.clone(),
    };
    let cache = settle(fetched, fetched.workloads.cache.as_ref(), cache);
    let validated = Validated {
        name: fetched.name.clone(),
        owner: owner(fetched)?,
        hostname,
        gateway,
        store,
        antispam,
        antivirus,
        journal,
        ldap_ports,
        cache,
        pair,
        token,
        token_exists: fetched.internal.is_some(),
        images: images.clone(),
    };
    Ok(Checked { validated, certificate, problems: problems::find(fetched) })
}

fn owner(fetched: &Fetched) -> Result<OwnerReference, ValidateError> {
    fetched.system.controller_owner_ref(&()).ok_or(ValidateError::Incomplete("uid"))
}

/// Where the operator writes what is served, the user's own key would be overwritten.
fn tls(fetched: &Fetched, wrong: &mut Vec<String>) {
    let served = fetched.name.tls();
    if fetched.system.spec.tls.as_ref().is_some_and(|tls| tls.secret_name == served) {
        wrong.push(format!(
            "spec.tls.secretName: {served} is the operator's own Secret, give yours another name"
        ));
    }
}

fn resolver(fetched: &Fetched, wrong: &mut Vec<String>) {
    let addresses = fetched.system.spec.resolver.iter().flat_map(|resolver| &resolver.addresses);
    for address in addresses.filter(|address| address.parse::<SocketAddr>().is_err()) {
        wrong.push(format!("spec.resolver.addresses: {address:?} is not ip:port, such as 192.0.2.53:53"));
    }
}

fn token(fetched: &Fetched, random: [u8; 32], wrong: &mut Vec<String>) -> Option<Token> {
    let Some(secret) = &fetched.internal else { return Some(Token::from_bytes(random)) };
    let bytes = secret.data.as_ref().and_then(|data| data.get(secrets::TOKEN));
    let token = bytes.and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).and_then(Token::parse);
    if token.is_none() {
        wrong.push(format!(
            "Secret {} has no usable key `{}`: delete it, and a new one is made",
            fetched.name.internal(),
            secrets::TOKEN
        ));
    }
    token
}

fn gateway(fetched: &Fetched, wrong: &mut Vec<String>) -> Option<Gateway> {
    let spec = &fetched.system.spec.gateway;
    let message_size = quantity::bytes(&spec.message_size);
    if message_size.is_none() {
        wrong.push(format!(
            "spec.gateway.messageSize: {:?} is not a quantity such as 50Mi",
            spec.message_size
        ));
    }
    let relay_host = spec.relay_host.as_deref().map(RelayHost::parse);
    if relay_host == Some(None) {
        wrong.push("spec.gateway.relayHost: write host, host:port or [host]:port".to_owned());
    }
    let queue = volume("spec.gateway.queueStorage", &spec.queue_storage, wrong);
    Some(Gateway {
        replicas: replicas("spec.gateway.replicas", spec.replicas, wrong)?,
        service_type: spec.service.type_,
        service_annotations: spec.service.annotations.clone(),
        message_size: message_size?,
        queue: settle(fetched, fetched.workloads.gateway.as_ref(), queue?),
        relay_host: relay_host.flatten(),
        resources: spec.resources.clone(),
    })
}

fn store(fetched: &Fetched, wrong: &mut Vec<String>) -> Option<Store> {
    let spec = &fetched.system.spec.store;
    let wanted = volume("spec.store.storage", &spec.storage, wrong)?;
    let of = |set: &Option<_>| settle(fetched, set.as_ref(), wanted.clone());
    let shards: Vec<_> = fetched.workloads.stores.iter().map(of).collect();
    if shards.is_empty() {
        wrong.push("spec.store.shards: at least one is needed".to_owned());
    }
    let stale_after = spec.failover.stale_after_seconds();
    if stale_after.is_none() {
        wrong.push(format!(
            "spec.store.failover.staleAfter: {:?} is neither a time such as 5m nor Never",
            spec.failover.stale_after
        ));
    }
    if spec.replicas > 2 {
        wrong.push(format!("spec.store.replicas: a shard has 1 or 2 stores, not {}", spec.replicas));
    }
    Some(Store {
        shards,
        replicas: replicas("spec.store.replicas", spec.replicas, wrong)?,
        stale_after: stale_after?,
        resources: spec.resources.clone(),
    })
}

fn antispam(fetched: &Fetched, wrong: &mut Vec<String>) -> Antispam {
    let spec = &fetched.system.spec.antispam;
    let scores = spec.thresholds;
    if !(scores.add_header > 0.0 && scores.add_header < scores.reject && scores.reject.is_finite()) {
        wrong.push("spec.antispam.thresholds: addHeader must be above 0 and below reject".to_owned());
    }
    Antispam {
        replicas: replicas("spec.antispam.replicas", spec.replicas, wrong).unwrap_or(1),
        thresholds: scores,
        resources: spec.resources.clone(),
    }
}

fn antivirus(fetched: &Fetched, wrong: &mut Vec<String>) -> Antivirus {
    let spec = &fetched.system.spec.antivirus;
    let signatures = match (&spec.signature_secret, spec.mirrors.as_slice()) {
        (Some(secret), []) => Signatures::Secret(secret.clone()),
        (None, mirrors) => Signatures::Mirrors(mirrors.to_vec()),
        (Some(secret), _) => {
            wrong.push("spec.antivirus: signatureSecret and mirrors exclude each other".to_owned());
            Signatures::Secret(secret.clone())
        }
    };
    let odd =
        |mirror: &String| mirror.is_empty() || mirror.chars().any(|c| c.is_whitespace() || c.is_control());
    if spec.mirrors.iter().any(odd) {
        wrong.push("spec.antivirus.mirrors: a mirror is a host or a URL without spaces".to_owned());
    }
    Antivirus {
        replicas: replicas("spec.antivirus.replicas", spec.replicas, wrong).unwrap_or(1),
        signatures,
        on_failure: spec.on_failure,
        on_detection: spec.on_detection,
        resources: spec.resources.clone(),
    }
}

fn replicas(field: &str, number: u32, wrong: &mut Vec<String>) -> Option<i32> {
    let replicas = i32::try_from(number).ok().filter(|number| *number > 0);
    if replicas.is_none() {
        wrong.push(format!("{field}: {number} is not a number of pods from 1 on"));
    }
    replicas
}

fn volume(field: &str, storage: &Storage, wrong: &mut Vec<String>) -> Option<Volume> {
    if quantity::bytes(&storage.size).is_none_or(|bytes| bytes == 0) {
        wrong.push(format!("{field}.size: {:?} is not a quantity such as 50Gi", storage.size));
        return None;
    }
    Some(Volume { size: Quantity(storage.size.clone()), class: storage.storage_class_name.clone() })
}

/// The volume of the pods of `set`: what it was made with, since nobody can change that; else what is wanted, if it can be
/// made. A set made with a class that is not there could never be given another.
fn settle(fetched: &Fetched, set: Option<&StatefulSet>, wanted: Volume) -> Option<Volume> {
    let possible = fetched.classes.has(wanted.class.as_deref());
    set.and_then(workloads::volume).or_else(|| possible.then_some(wanted))
}

fn pair(fetched: &Fetched, hostname: &Hostname, now: i64) -> Result<(Pair, Finding), ValidateError> {
    let name = fetched.system.spec.tls.as_ref().map(|tls| (tls.secret_name.as_str(), fetched.tls.as_ref()));
    let (serve, finding) = certificate::decide(name, fetched.served.as_ref(), hostname, now);
    let pair = match serve {
        Serve::Pair(pair) => pair,
        Serve::NewSelfSigned => self_signed(hostname, now)?,
    };
    Ok((pair, finding))
}
