//! `kubectl mail switchover`: the other store of a shard serves, planned. The order is written to the shard's Lease, and the
//! store that serves obeys it when the other has everything. Nobody else can make a store stop.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::time::sleep;

use super::{Error, cluster::System};
use crate::{
    api::MailSystem,
    names::{SystemName, lease::SWITCHOVER},
    operator::switchover::LeaseSeen,
};

/// Between looks at the Lease.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// After the other store took the epoch, until the operator says that it serves.
const SEEN_WITHIN: Duration = Duration::from_secs(15);

/// Which shard, and to whom.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the MailSystem, as with --system.
    #[arg(value_name = "SYSTEM")]
    pub name: Option<String>,
    /// The shard; may be left out if there is one only, or with --to.
    #[arg(long)]
    shard: Option<u32>,
    /// The pod that is to serve. Nothing is done if it does already.
    #[arg(long, value_name = "POD")]
    to: Option<String>,
    /// How many seconds to wait. An order that is not carried out by then is withdrawn.
    #[arg(long, default_value = "60")]
    timeout: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The store that is wanted serves.
    Done(String),
    /// Order that `epoch` ends, so that `to` serves.
    Order { epoch: u64, from: String, to: String },
}

/// What came of an order.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Waiting,
    /// The other store has this epoch.
    Done(u64),
    /// The same store serves again.
    Back(u64),
}

/// Orders it, and waits.
pub(super) async fn run(system: &System, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let object = system.object().await?;
    let shard = shard_of(&system.name, &object, (arguments.shard, arguments.to.as_deref()))?;
    let lease = system.lease(shard).await?;
    let (epoch, from, to) = match step(&system.name.store(shard), &lease, arguments.to.as_deref()) {
        Ok(Step::Order { epoch, from, to }) => (epoch, from, to),
        Ok(Step::Done(pod)) => return Ok(writeln!(out, "{pod} serves shard {shard} already")?),
        Err(why) => return Err(Error::Incomplete(with_words(&why, shard, &object))),
    };
    system.annotate_lease(shard, SWITCHOVER, Some(&epoch.to_string())).await?;
    writeln!(out, "{from} is asked to hand shard {shard} over to {to}, which ends epoch {epoch}")?;
    let end = Instant::now() + Duration::from_secs(arguments.timeout);
    let ordinal = ordinal(&to);
    while Instant::now() < end {
        sleep(LOOK).await;
        match outcome(epoch, ordinal, &system.lease(shard).await?) {
            Outcome::Waiting => {}
            Outcome::Done(epoch) => return confirm(system, (shard, &to, epoch), out).await,
            Outcome::Back(epoch) => {
                return Err(Error::Incomplete(format!(
                    "{from} made way and serves again, in epoch {epoch}: what changed last did not reach {to}. Nothing is lost; its log says why"
                )));
            }
        }
    }
    system.annotate_lease(shard, SWITCHOVER, None).await?;
    let why =
        format!("{from} has not handed over within {} s, and the order is withdrawn", arguments.timeout);
    Err(Error::Incomplete(with_words(&why, shard, &system.object().await?)))
}

/// Says that it serves, once the operator has seen it.
async fn confirm(
    system: &System,
    (shard, pod, epoch): (u32, &str, u64),
    out: &mut impl Write,
) -> Result<(), Error> {
    let end = Instant::now() + SEEN_WITHIN;
    while Instant::now() < end {
        let status = system.object().await?.status.unwrap_or_default();
        let seen = status.shards.into_iter().find(|it| it.shard == shard);
        if seen.is_some_and(|it| it.primary.as_deref() == Some(pod) && it.epoch >= Some(epoch)) {
            return Ok(writeln!(out, "{pod} serves shard {shard} in epoch {epoch}")?);
        }
        sleep(LOOK).await;
    }
    Ok(writeln!(out, "{pod} has taken epoch {epoch}; the operator has not seen it serve yet")?)
}

/// The shard that is meant.
fn shard_of(
    name: &SystemName,
    object: &MailSystem,
    (shard, to): (Option<u32>, Option<&str>),
) -> Result<u32, Error> {
    let store = &object.spec.store;
    if store.replicas < 2 {
        let why = format!("each shard of {name} has one store (spec.store.replicas: 1): there is no other");
        return Err(Error::Incomplete(why));
    }
    let of_pod = to.map(|pod| {
        let found = (0..store.shards).find(|shard| pods(&name.store(*shard)).iter().any(|it| it == pod));
        found.ok_or_else(|| Error::Incomplete(format!("{pod} is no store of {name}")))
    });
    match (shard, of_pod.transpose()?) {
        (Some(shard), _) if shard >= store.shards => {
            Err(Error::Incomplete(format!("{name} has no shard {shard}: they are 0 to {}", store.shards - 1)))
        }
        (Some(shard), Some(other)) if shard != other => {
            Err(Error::Incomplete(format!("that pod is of shard {other}, not of shard {shard}")))
        }
        (Some(shard), _) | (None, Some(shard)) => Ok(shard),
        (None, None) if store.shards == 1 => Ok(0),
        (None, None) => {
            let last = store.shards - 1;
            Err(Error::Incomplete(format!("{name} has shards 0 to {last}: name one with --shard")))
        }
    }
}

/// Both pods of a shard whose objects are called `store`.
fn pods(store: &str) -> [String; 2] {
    [0, 1].map(|ordinal| format!("{store}-{ordinal}"))
}

/// Of the pod's name; one of another form has none of the two.
fn ordinal(pod: &str) -> u64 {
    u64::from(!pod.ends_with("-0"))
}

/// What is to be done so that `to` serves, or else the other one; or why that cannot be.
fn step(store: &str, lease: &LeaseSeen, to: Option<&str>) -> Result<Step, String> {
    let Some(holder) = lease.holder() else {
        return Err("nobody has served this shard yet".to_owned());
    };
    let [even, odd] = pods(store);
    let (from, other) = if holder == 0 { (even, odd) } else { (odd, even) };
    if lease.released {
        return Err(format!("{from} has stopped serving, and nobody serves now"));
    }
    if to == Some(from.as_str()) {
        return Ok(Step::Done(from));
    }
    if !lease.in_sync {
        return Err(format!(
            "{other} does not have everything, so {from} would not make way: nothing was ordered"
        ));
    }
    Ok(Step::Order { epoch: lease.epoch, from, to: other })
}

/// What the Lease says of the order to end `epoch`.
fn outcome(epoch: u64, to: u64, lease: &LeaseSeen) -> Outcome {
    match lease.epoch {
        now if now <= epoch || lease.released => Outcome::Waiting,
        now if lease.holder() == Some(to) => Outcome::Done(now),
        now => Outcome::Back(now),
    }
}

/// A sentence with what status says of the shard.
pub(super) fn with_words(sentence: &str, shard: u32, object: &MailSystem) -> String {
    let seen = object.status.iter().flat_map(|status| &status.shards).find(|it| it.shard == shard);
    match seen.map(|it| it.message.as_str()) {
        Some(message) if !message.is_empty() => format!("{sentence}. {message}"),
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(epoch: u64, in_sync: bool) -> LeaseSeen {
        LeaseSeen { epoch, in_sync, ..LeaseSeen::default() }
    }

    #[test]
    fn the_other_store_is_asked_for_if_it_has_everything() {
        let (a, b) = ("mail-store-0-0".to_owned(), "mail-store-0-1".to_owned());
        let of = |lease: &LeaseSeen, to: Option<&str>| step("mail-store-0", lease, to);
        let order = Step::Order { epoch: 5, from: b.clone(), to: a.clone() };
        assert_eq!(of(&lease(5, true), None).unwrap(), order);
        assert_eq!(of(&lease(5, true), Some(&a)).unwrap(), order);
        assert_eq!(of(&lease(5, true), Some(&b)).unwrap(), Step::Done(b.clone()));
        assert_eq!(of(&lease(5, false), Some(&b)).unwrap(), Step::Done(b.clone()));
        let not_in_sync = of(&lease(4, false), None).unwrap_err();
        assert!(not_in_sync.starts_with("mail-store-0-1 does not have everything"), "{not_in_sync}");
        let released = LeaseSeen { released: true, ..lease(4, true) };
        assert!(of(&released, None).unwrap_err().contains("nobody serves now"));
        assert!(of(&LeaseSeen::default(), None).is_err());
    }

    #[test]
    fn an_order_is_carried_out_when_the_other_has_a_later_epoch() {
        assert_eq!(outcome(4, 1, &lease(4, true)), Outcome::Waiting);
        assert_eq!(outcome(4, 1, &lease(5, false)), Outcome::Done(5));
        assert_eq!(outcome(4, 1, &lease(6, false)), Outcome::Back(6));
        let released = LeaseSeen { released: true, ..lease(4, true) };
        assert_eq!(outcome(4, 1, &released), Outcome::Waiting);
        assert_eq!(outcome(4, 1, &lease(2, true)), Outcome::Waiting, "restored from a backup");
    }

    #[test]
    fn the_shard_is_named_or_there_is_one_only() {
        let name = SystemName::new("n", "mail");
        let of = |shards: u32, replicas: u32, named: (Option<u32>, Option<&str>)| {
            let spec = format!("{{hostname: mail.x.vn, store: {{shards: {shards}, replicas: {replicas}}}}}");
            let object = MailSystem::new("mail", serde_saphyr::from_str(&spec).unwrap());
            shard_of(&name, &object, named).map_err(|error| error.to_string())
        };
        assert_eq!(of(1, 2, (None, None)), Ok(0));
        assert_eq!(of(2, 2, (Some(1), None)), Ok(1));
        assert_eq!(of(2, 2, (None, Some("mail-store-1-0"))), Ok(1));
        for (shards, replicas, named, word) in [
            (2, 2, (None, None), "--shard"),
            (2, 2, (Some(2), None), "0 to 1"),
            (2, 2, (Some(0), Some("mail-store-1-0")), "of shard 1"),
            (2, 2, (None, Some("mail-store-2-0")), "no store of n/mail"),
            (2, 2, (None, Some("mail-store-1-2")), "no store of n/mail"),
            (1, 1, (None, None), "one store"),
        ] {
            let error = of(shards, replicas, named).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
