//! The Lease of a repository's place: who works on it. It is taken before the first Job of a run and let go after the last.
//!
//! The holder's name is that of an object and of a run: `MailBackup/nightly/nightly-20261201-183000`. Jobs carry the run as a
//! label, so that a holder that is gone is known from one that works: a Lease that nobody renewed is taken over only if no
//! Job of its holder is left.

use k8s_openapi::{
    api::{
        batch::v1::Job,
        coordination::v1::{Lease, LeaseSpec},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client, Error,
    api::{ListParams, PostParams},
};

use crate::names::{MANAGED_BY, MANAGER, RUN_LABEL};

/// Nobody works on a place whose Lease was not renewed for so long.
const DURATION: SignedDuration = SignedDuration::from_mins(5);
/// It is renewed this often.
const RENEW: SignedDuration = SignedDuration::from_mins(1);

/// Who wants which Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The namespace.
    pub namespace: String,
    /// The Lease: [`Place::lease`](super::Place::lease).
    pub name: String,
    /// The holder: kind and name of an object, and a run.
    pub holder: String,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is ours, and was renewed a moment ago.
    Keep,
    /// Write our name and the time.
    Write,
    /// Somebody else holds it.
    Wait,
}

impl Claim {
    /// A claim of a run of a MailBackup or MailRestore.
    #[must_use]
    pub fn new(namespace: &str, lease: String, (kind, object): (&str, &str), run: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: lease, holder: format!("{kind}/{object}/{run}") }
    }

    /// Takes or renews the Lease. Who holds it instead, if it is not to be had.
    ///
    /// # Errors
    /// The API server's.
    pub async fn take(&self, client: &Client) -> Result<Option<String>, Error> {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let current = api.get_opt(&self.name).await?;
        let holder = current.as_ref().and_then(holder).map(ToOwned::to_owned);
        let works = match &holder {
            Some(holder) if *holder != self.holder => works(client, &self.namespace, holder).await?,
            _ => false,
        };
        let now = Timestamp::now();
        match decide(current.as_ref(), &self.holder, works, now) {
            Step::Keep => return Ok(None),
            Step::Wait => return Ok(Some(holder.unwrap_or_default())),
            Step::Write => {}
        }
        let wanted = claimed(current.clone(), &self.name, &self.holder, now);
        let params = PostParams::default();
        let written = match current {
            Some(_) => api.replace(&self.name, &params, &wanted).await,
            None => api.create(&params, &wanted).await,
        };
        match written {
            Ok(_) => Ok(None),
            Err(Error::Api(status)) if status.code == 409 => Ok(Some("another".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Lets go of the Lease, if it is ours.
    ///
    /// # Errors
    /// The API server's.
    pub async fn release(&self, client: &Client) -> Result<(), Error> {
        let api: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let Some(mut lease) = api.get_opt(&self.name).await? else { return Ok(()) };
        if holder(&lease).is_none_or(|holder| owner(holder) != owner(&self.holder)) {
            return Ok(());
        }
        lease.spec.get_or_insert_default().holder_identity = None;
        match api.replace(&self.name, &PostParams::default(), &lease).await {
            // Somebody was quicker.
            Err(Error::Api(status)) if status.code == 409 => Ok(()),
            other => other.map(drop),
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The object of a holder, without its run.
fn owner(holder: &str) -> &str {
    holder.rsplit_once('/').map_or(holder, |(owner, _)| owner)
}

/// Whether a Job of a holder is there.
async fn works(client: &Client, namespace: &str, holder: &str) -> Result<bool, Error> {
    let run = holder.rsplit_once('/').map_or(holder, |(_, run)| run);
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let jobs = ListParams::default().labels(&format!("{RUN_LABEL}={run}")).limit(1);
    Ok(!api.list_metadata(&jobs).await?.items.is_empty())
}

fn decide(lease: Option<&Lease>, me: &str, works: bool, now: Timestamp) -> Step {
    let spec = lease.and_then(|lease| lease.spec.as_ref());
    let age = spec.and_then(|spec| spec.renew_time.as_ref()).map(|at| now.duration_since(at.0));
    let older = |than: SignedDuration| age.is_none_or(|age| age >= than || age.is_negative());
    match lease.and_then(holder) {
        None => Step::Write,
        Some(holder) if holder == me => {
            if older(RENEW) {
                Step::Write
            } else {
                Step::Keep
            }
        }
        // One object does one thing at a time: an earlier run of its own is over.
        Some(holder) if !works && (owner(holder) == owner(me) || older(DURATION)) => Step::Write,
        Some(_) => Step::Wait,
    }
}

fn claimed(current: Option<Lease>, name: &str, me: &str, now: Timestamp) -> Lease {
    let labels = [(MANAGED_BY.to_owned(), MANAGER.to_owned())].into();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
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
    fn a_place_is_taken_when_nobody_works_on_it() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let (me, mine, other) = ("MailBackup/a/a-2", "MailBackup/a/a-1", "MailRestore/b/b");
        let held = |by: &str| claimed(None, "l", by, at(0));
        let step = |lease: Option<&Lease>, works, seconds| decide(lease, me, works, at(seconds));
        assert_eq!(step(None, false, 0), Step::Write);
        assert_eq!(
            (step(Some(&held(me)), true, 59), step(Some(&held(me)), true, 60)),
            (Step::Keep, Step::Write)
        );
        assert_eq!(step(Some(&held(mine)), false, 1), Step::Write, "an earlier run of the same backup");
        assert_eq!(step(Some(&held(mine)), true, 9999), Step::Wait, "whose Job is still there");
        assert_eq!(step(Some(&held(other)), false, 299), Step::Wait);
        assert_eq!(step(Some(&held(other)), false, 300), Step::Write, "abandoned");
        assert_eq!(step(Some(&held(other)), true, 300), Step::Wait, "not renewed, but it works");
        let mut free = held(other);
        free.spec.as_mut().unwrap().holder_identity = None;
        assert_eq!(step(Some(&free), false, 1), Step::Write);
    }
}
