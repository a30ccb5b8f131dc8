//! The shard's Lease, the third vote.
//!
//! What a quorum read gave comes out as [`Read`]; a change goes in as a compare-and-swap on that very version. Who decides
//! reads `failover`; nothing here does.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::Lease as Object, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::time::timeout;

use crate::{
    failover::{Epoch, EpochError, Lease, Pod},
    names::lease::{DECLARE_LOST, EPOCH, HANDOVER_TO, IN_SYNC, RELEASED, SWITCHOVER},
};

/// Longest wait for the API server: a renewal is due every two seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A Lease as it was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// What it says.
    pub lease: Lease,
    /// What people ask of its holder.
    pub orders: Orders,
    object: Object,
}

/// What people ask by annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The holder is to hand over.
    pub switchover: bool,
    /// This pod's disk is declared gone.
    pub lost: Option<Pod>,
}

impl Read {
    /// One that says this.
    #[cfg(test)]
    #[must_use]
    pub fn of(lease: Lease) -> Self {
        Self { lease, orders: Orders::default(), object: Object::default() }
    }

    /// The version, by which a change is noticed.
    #[must_use]
    pub fn version(&self) -> &str {
        self.object.metadata.resource_version.as_deref().unwrap_or_default()
    }
}

/// Why the Lease could not be read or changed.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// It is not there: the operator makes it.
    #[error("the Lease is not there")]
    Absent,
    /// Somebody changed it meanwhile, so that nothing was written.
    #[error("the Lease was changed meanwhile")]
    Changed,
    /// What stands in it was not written by an agent.
    #[error("the Lease cannot be understood: {0}")]
    Garbled(String),
    /// The API server did not answer in time: a change may have been made.
    #[error("the API server did not answer in time")]
    Silent,
    /// The API server's answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// The Lease of a shard.
#[derive(Clone)]
pub struct Leases {
    api: Api<Object>,
    name: String,
}

impl Leases {
    /// The Lease `name` in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: String) -> Self {
        Self { api: Api::namespaced(client, namespace), name }
    }

    /// Reads it from the API server's store, not from a cache.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read(&self) -> Result<Read, Error> {
        let object = timeout(PATIENCE, self.api.get_opt(&self.name)).await.map_err(|_| Error::Silent)??;
        understood(object.ok_or(Error::Absent)?)
    }

    /// Puts `lease` in the place of what was `read`; `pods` are the names of both pods.
    ///
    /// # Errors
    /// After [`Error::Silent`] and [`Error::Api`] it may have been written all the same: read again.
    pub async fn swap(&self, read: &Read, lease: Lease, pods: &[String; 2]) -> Result<Read, Error> {
        let object = written(read, lease, pods);
        let params = PostParams::default();
        let swap = self.api.replace(&self.name, &params, &object);
        match timeout(PATIENCE, swap).await.map_err(|_| Error::Silent)? {
            Ok(object) => understood(object),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Changed),
            Err(error) => Err(error.into()),
        }
    }
}

fn understood(object: Object) -> Result<Read, Error> {
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    let is = |key: &str| annotations.get(key).is_some_and(|value| value == "true");
    let number = annotations.get(EPOCH).map_or(Ok(0), |text| text.parse::<u64>());
    let epoch = number.map_err(|error| Error::Garbled(format!("{EPOCH}: {error}")))?;
    let epoch = Epoch::from_number(epoch).map_err(|error: EpochError| Error::Garbled(error.to_string()))?;
    let lease = Lease {
        epoch,
        in_sync: is(IN_SYNC),
        released: is(RELEASED),
        handover_to: annotations.get(HANDOVER_TO).and_then(|name| pod_named(name)),
    };
    let lost = annotations.get(DECLARE_LOST).and_then(|text| text.rsplit_once('@'));
    let orders = Orders {
        switchover: annotations.get(SWITCHOVER).is_some_and(|text| *text == epoch.number().to_string()),
        lost: lost.filter(|(_, of)| *of == epoch.number().to_string()).and_then(|(pod, _)| pod_named(pod)),
    };
    Ok(Read { lease, orders, object })
}

/// The pod with this name, by its ordinal.
#[must_use]
pub fn pod_named(name: &str) -> Option<Pod> {
    match name.rsplit_once('-')?.1 {
        "0" => Some(Pod::Even),
        "1" => Some(Pod::Odd),
        _ => None,
    }
}

fn written(read: &Read, lease: Lease, pods: &[String; 2]) -> Object {
    let mut object = read.object.clone();
    let annotations = object.metadata.annotations.get_or_insert_default();
    let flags = [(IN_SYNC, lease.in_sync), (RELEASED, lease.released)];
    annotations.extend(flags.map(|(key, value)| (key.to_owned(), value.to_string())));
    annotations.insert(EPOCH.to_owned(), lease.epoch.number().to_string());
    match lease.handover_to {
        Some(pod) => drop(annotations.insert(HANDOVER_TO.to_owned(), pods[pod.ordinal()].clone())),
        None => drop(annotations.remove(HANDOVER_TO)),
    }
    let new = lease.epoch != read.lease.epoch;
    if new {
        // They were of the epoch that ended.
        annotations.remove(SWITCHOVER);
        annotations.remove(DECLARE_LOST);
    }
    let spec = object.spec.get_or_insert_default();
    spec.holder_identity = (!lease.released).then(|| pods[lease.holder().ordinal()].clone());
    // For people, and so that a renewal changes the version. No clock is ever compared with it.
    spec.renew_time = Some(MicroTime(Timestamp::now()));
    if new {
        spec.acquire_time = spec.renew_time.clone();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> [String; 2] {
        ["s-store-0-0".into(), "s-store-0-1".into()]
    }

    fn epoch(number: u64) -> Epoch {
        Epoch::from_number(number).unwrap()
    }

    #[test]
    fn what_is_written_is_understood_and_orders_end_with_their_epoch() {
        let new = understood(Object::default()).unwrap();
        assert_eq!((new.lease, new.orders), (Lease::NONE, Orders::default()));
        let lease = Lease { epoch: epoch(5), in_sync: true, released: false, handover_to: Some(Pod::Even) };
        let mut object = written(&new, lease, &pods());
        assert_eq!(object.spec.as_ref().unwrap().holder_identity.as_deref(), Some("s-store-0-1"));
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(SWITCHOVER.into(), "5".into());
        annotations.insert(DECLARE_LOST.into(), "s-store-0-0@5".into());
        let read = understood(object).unwrap();
        assert_eq!(read.lease, lease);
        assert_eq!(read.orders, Orders { switchover: true, lost: Some(Pod::Even) });

        let renewed = understood(written(&read, Lease { in_sync: false, ..lease }, &pods())).unwrap();
        assert!(renewed.orders.switchover, "a renewal does not drop an order");
        let released = Lease { released: true, handover_to: None, ..lease };
        let object = written(&read, released, &pods());
        assert_eq!(object.spec.as_ref().unwrap().holder_identity, None);
        let next = Lease { epoch: epoch(6), ..Lease::NONE };
        let read = understood(written(&read, next, &pods())).unwrap();
        assert_eq!((read.lease, read.orders), (next, Orders::default()));
    }

    #[test]
    fn orders_for_another_epoch_and_words_of_others_are_not_obeyed() {
        let with = |pairs: &[(&str, &str)]| {
            let mut object = Object::default();
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            understood(object)
        };
        let read = with(&[(EPOCH, "8"), (SWITCHOVER, "7"), (DECLARE_LOST, "s-store-0-1@6")]).unwrap();
        assert_eq!(read.orders, Orders::default());
        for garbled in ["x", "-1", "99999999999999999999", "9007199254740994"] {
            assert!(matches!(with(&[(EPOCH, garbled)]), Err(Error::Garbled(_))), "{garbled}");
        }
        assert_eq!(pod_named("s-store-0-2"), None);
    }
}
