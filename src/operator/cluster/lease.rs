//! One operator works at a time: a small lock on a Lease.
//!
//! Claims and renewals are replacements guarded by `resourceVersion`, so of two claims one fails. A holder that could not
//! renew for [`RENEW_WITHIN`] stops before others may claim after [`DURATION`]; both count on their own monotonic clocks
//! from what they saw change, so clocks may differ. Whoever loses the lease ends the process; nothing is taken up again.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, Error, api::PostParams};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::http::Readiness;

/// Others may claim a lease that nobody renewed for this long.
pub const DURATION: Duration = Duration::from_secs(15);
/// A holder gives up when it could not renew for this long.
pub const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts.
pub const RETRY: Duration = Duration::from_secs(2);

/// The part of readiness that says whether the API server answers.
pub const API: &str = "api";

/// The lease of the operators in a namespace, as one of them sees it.
pub struct Lock {
    api: Api<Lease>,
    name: String,
    holder: String,
    readiness: Readiness,
    seen: Option<Seen>,
}

/// The last state that was seen, and since when it is unchanged.
#[derive(Clone, Debug)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Ours,
    Theirs,
    Failed,
}

/// What to do about a lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is ours, or free, or abandoned: write our name.
    Claim,
    /// Somebody else holds it.
    Wait,
}

impl Lock {
    /// The lease `name` in `namespace`, for `holder` (the pod's name). The part [`API`] of `readiness` learns with each
    /// attempt whether the API server answers.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, holder: &str, readiness: Readiness) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), holder: holder.to_owned(), readiness, seen: None }
    }

    /// Waits until the lease is ours: true; or until `shutdown`: false.
    pub async fn acquire(&mut self, shutdown: &CancellationToken) -> bool {
        loop {
            if self.attempt(RENEW_WITHIN).await == Attempt::Ours {
                tracing::info!(lease = self.name, "the lease is ours");
                return true;
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                () = shutdown.cancelled() => return false,
            }
        }
    }

    /// Renews until the lease is lost: true; or until `shutdown`: false. It does not release: what works under the lease
    /// has to end first.
    pub async fn keep(&mut self, shutdown: &CancellationToken) -> bool {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = sleep(RETRY) => {}
                () = shutdown.cancelled() => return false,
            }
            let asked = Instant::now();
            let left = (renewed + RENEW_WITHIN).saturating_duration_since(asked);
            match self.attempt(left).await {
                Attempt::Ours => renewed = asked,
                Attempt::Theirs => return true,
                Attempt::Failed if renewed.elapsed() >= RENEW_WITHIN => return true,
                Attempt::Failed => {}
            }
        }
    }

    /// Lets go of the lease, if it is still ours, so that another can claim it at once.
    pub async fn release(&mut self) {
        let attempt = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.holder) {
                spec.holder_identity = None;
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, Error>(())
        };
        match timeout(RETRY, attempt).await {
            Ok(Ok(())) => tracing::info!("the lease is released"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be released"),
            Err(_) => tracing::warn!("the lease could not be released in time"),
        }
    }

    /// One attempt: whether the lease is ours now.
    async fn claim(&mut self) -> Result<bool, Error> {
        let params = PostParams::default();
        let current = self.api.get_opt(&self.name).await?;
        let now = Instant::now();
        let version = current.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if went_back(self.seen.as_ref().and_then(|seen| seen.version.as_deref()), version.as_deref()) {
            tracing::error!(
                lease = self.name,
                "the API server went back in time, as after a restore: starting anew"
            );
            self.seen = None;
            return Ok(false);
        }
        let seen = match self.seen.take() {
            Some(seen) if seen.version == version => seen,
            _ => Seen { version, since: now },
        };
        let step = decide(current.as_ref(), &self.holder, now.duration_since(seen.since));
        self.seen = Some(seen);
        if step == Step::Wait {
            return Ok(false);
        }
        let wanted = claimed(current.clone(), &self.name, &self.holder, Timestamp::now());
        // A conflict is an error like others: whether the lease is lost shows when it is read again.
        match current {
            Some(_) => self.api.replace(&self.name, &params, &wanted).await?,
            None => self.api.create(&params, &wanted).await?,
        };
        Ok(true)
    }

    /// One attempt, of which readiness learns whether the API server answers.
    async fn attempt(&mut self, within: Duration) -> Attempt {
        match timeout(within, self.claim()).await {
            Ok(Ok(ours)) => {
                self.readiness.ready(API);
                if ours { Attempt::Ours } else { Attempt::Theirs }
            }
            Ok(Err(Error::Api(status))) if status.code == 409 => Attempt::Failed,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease cannot be claimed");
                self.readiness.blocked(API, format!("the lease cannot be claimed: {error}"));
                Attempt::Failed
            }
            Err(_) => {
                self.readiness.blocked(API, "the API server does not answer");
                Attempt::Failed
            }
        }
    }
}

/// Whether the API server was restored from a backup: its versions went back, and its watches tell nothing of it.
fn went_back(before: Option<&str>, now: Option<&str>) -> bool {
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    number(before).zip(number(now)).is_some_and(|(before, now)| now < before)
}

fn decide(lease: Option<&Lease>, me: &str, unchanged: Duration) -> Step {
    let spec = lease.and_then(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let seconds =
        spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    match holder {
        Some(holder) if holder != me && unchanged < seconds.map_or(DURATION, Duration::from_secs) => {
            Step::Wait
        }
        _ => Step::Claim,
    }
}

/// The lease with our name on it.
fn claimed(current: Option<Lease>, name: &str, me: &str, now: Timestamp) -> Lease {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let mut lease = current.unwrap_or(Lease { metadata, spec: None });
    let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(me) {
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        spec.acquire_time = Some(MicroTime(now));
        spec.holder_identity = Some(me.to_owned());
    }
    spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_claimed_when_it_is_ours_or_free_or_abandoned() {
        let mine = claimed(None, "l", "a", Timestamp::UNIX_EPOCH);
        let free = {
            let mut lease = mine.clone();
            lease.spec.as_mut().unwrap().holder_identity = None;
            lease
        };
        let short = Duration::from_secs(14);
        assert_eq!(decide(None, "a", Duration::ZERO), Step::Claim);
        assert_eq!(decide(Some(&mine), "a", Duration::ZERO), Step::Claim);
        assert_eq!(decide(Some(&free), "b", Duration::ZERO), Step::Claim);
        assert_eq!(decide(Some(&mine), "b", short), Step::Wait);
        assert_eq!(decide(Some(&mine), "b", DURATION), Step::Claim);
    }

    #[test]
    fn an_api_server_that_was_restored_shows_in_the_version_of_the_lease() {
        assert!(went_back(Some("1000"), Some("999")));
        for (before, now) in
            [(Some("999"), Some("1000")), (Some("9"), Some("9")), (None, Some("1")), (Some("5"), None)]
        {
            assert!(!went_back(before, now), "{before:?} {now:?}");
        }
    }

    #[test]
    fn a_change_of_holder_counts_and_a_renewal_does_not() {
        let first = claimed(None, "l", "a", Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(5).unwrap();
        let renewed = claimed(Some(first.clone()), "l", "a", later).spec.unwrap();
        let taken = claimed(Some(first.clone()), "l", "b", later).spec.unwrap();
        assert_eq!(
            (renewed.lease_transitions, renewed.acquire_time),
            (Some(1), first.spec.unwrap().acquire_time)
        );
        assert_eq!((taken.lease_transitions, taken.acquire_time), (Some(2), Some(MicroTime(later))));
    }
}
