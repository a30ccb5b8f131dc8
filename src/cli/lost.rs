//! `kubectl mail declare-lost`: a person says that the disk of a store is gone for good, so that the other serves although
//! changes may be missing there. Only where nobody serves: a store that serves needs no declaration.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::time::sleep;

use super::{
    Error, Target,
    cluster::System,
    switchover::{LOOK, with_words},
};
use crate::{names::lease::DECLARE_LOST, operator::switchover::LeaseSeen};

/// A store that serves renews the Lease every two seconds, so that it changes within each such pause.
const PAUSE: Duration = Duration::from_secs(3);

/// Whose disk.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The pod whose disk is gone.
    #[arg(value_name = "POD")]
    pod: String,
    /// The pod's name once more: what only its disk has is given up.
    #[arg(long, value_name = "POD")]
    confirm: String,
    /// How many seconds to wait for the other store. The declaration stands in any case.
    #[arg(long, default_value = "60")]
    timeout: u64,
}

/// A store pod.
#[derive(Debug, PartialEq, Eq)]
struct Store {
    system: String,
    shard: u32,
    /// The other one of the shard.
    other: String,
}

/// Declares it, and waits.
pub(super) async fn run(target: &Target, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let Arguments { pod, confirm, timeout } = arguments;
    let Store { system, shard, other } = confirmed(pod, confirm, target.system.as_deref())?;
    let target = Target { namespace: target.namespace.clone(), system: Some(system) };
    let system = System::find(&target).await?;
    let object = system.object().await?;
    if object.spec.store.replicas < 2 || shard >= object.spec.store.shards {
        let why = format!("{pod} has no other store in {}, so nobody could take its place", system.name);
        return Err(Error::Incomplete(why));
    }
    writeln!(out, "looking whether anybody serves shard {shard}")?;
    let lease = unserved(&system, shard).await?;
    system.annotate_lease(shard, DECLARE_LOST, Some(&format!("{pod}@{}", lease.epoch))).await?;
    writeln!(out, "the disk of {pod} is declared lost, as of epoch {}", lease.epoch)?;
    let end = Instant::now() + Duration::from_secs(*timeout);
    while Instant::now() < end {
        sleep(LOOK).await;
        let now = system.lease(shard).await?;
        if now.epoch > lease.epoch && !now.released {
            let epoch = now.epoch;
            writeln!(
                out,
                "{other} has taken epoch {epoch}; StaleTakeover of the MailSystem names the span that may be missing"
            )?;
            let namespace = &system.name.namespace;
            writeln!(out, "to give {pod} an empty disk, which is filled from {other}:")?;
            writeln!(out, "  kubectl -n {namespace} delete pvc data-{pod} --wait=false")?;
            return Ok(writeln!(out, "  kubectl -n {namespace} delete pod {pod}")?);
        }
    }
    let why = format!("{other} has not taken over within {timeout} s; the declaration stands");
    Err(Error::Incomplete(with_words(&why, shard, &system.object().await?)))
}

/// The Lease of a shard that nobody serves.
async fn unserved(system: &System, shard: u32) -> Result<LeaseSeen, Error> {
    let mut seen = vec![system.lease(shard).await?];
    for _ in 0..2 {
        sleep(PAUSE).await;
        seen.push(system.lease(shard).await?);
    }
    if let Some(holder) = renewing(&seen) {
        let store = system.name.store(shard);
        return Err(Error::Incomplete(format!(
            "{store}-{holder} renews its Lease, so it serves: nothing was declared. If its replica's disk is the one that is lost, delete that volume claim and its pod, and it is filled anew"
        )));
    }
    let lease = seen.pop().unwrap_or_default();
    if lease.epoch == 0 {
        return Err(Error::Incomplete(format!(
            "nobody has served shard {shard} yet, so there is nothing to give up"
        )));
    }
    Ok(lease)
}

/// The ordinal of the pod that renews the Lease, which was read a few times; each time it was another if somebody does.
fn renewing(seen: &[LeaseSeen]) -> Option<u64> {
    let each = seen.windows(2).all(|pair| matches!(pair, [old, new] if old.version != new.version));
    let last = seen.last()?;
    last.holder().filter(|_| each && !last.released)
}

/// The pod, if its name was given twice and is a store's of that system.
fn confirmed(pod: &str, confirm: &str, system: Option<&str>) -> Result<Store, Error> {
    if pod != confirm {
        return Err(Error::Incomplete(format!(
            "nothing was declared: repeat the pod's name with --confirm {pod}"
        )));
    }
    let parsed = || {
        let (store, ordinal) = pod.rsplit_once('-')?;
        let other = match ordinal {
            "0" => 1,
            "1" => 0,
            _ => return None,
        };
        let (base, shard) = store.rsplit_once('-')?;
        let name = base.strip_suffix("-store")?;
        let shard = shard.parse().ok()?;
        Some(Store { system: name.to_owned(), shard, other: format!("{store}-{other}") })
    };
    let store = parsed().ok_or_else(|| {
        Error::Incomplete(format!("{pod} is no store: they are called SYSTEM-store-SHARD-0 and -1"))
    })?;
    match system {
        Some(system) if system != store.system => {
            Err(Error::Incomplete(format!("{pod} is no store of {system}")))
        }
        _ => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_confirmed_by_the_pods_name() {
        let store = confirmed("my-mail-store-12-1", "my-mail-store-12-1", None).unwrap();
        let expected = Store { system: "my-mail".into(), shard: 12, other: "my-mail-store-12-0".into() };
        assert_eq!(store, expected);
        for (pod, confirm, system) in [
            ("mail-store-0-1", "mail-store-0-0", None),
            ("mail-store-0-2", "mail-store-0-2", None),
            ("mail-store-x-0", "mail-store-x-0", None),
            ("mail-gateway-0", "mail-gateway-0", None),
            ("mail-store-0-0", "mail-store-0-0", Some("web")),
        ] {
            assert!(confirmed(pod, confirm, system).is_err(), "{pod} {confirm} {system:?}");
        }
    }

    #[test]
    fn who_renews_serves() {
        let lease = |version: &str, released| LeaseSeen {
            epoch: 5,
            released,
            version: version.into(),
            ..LeaseSeen::default()
        };
        assert_eq!(renewing(&[lease("1", false), lease("2", false), lease("3", false)]), Some(1));
        // The other store may write once that it asks for the place.
        assert_eq!(renewing(&[lease("1", false), lease("2", false), lease("2", false)]), None);
        assert_eq!(renewing(&[lease("1", false), lease("1", false), lease("1", false)]), None);
        assert_eq!(renewing(&[lease("1", false), lease("2", false), lease("3", true)]), None);
    }
}
