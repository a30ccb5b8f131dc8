//! Which store's volume is backed up: the replica's, so that users feel nothing, if it has everything; else the primary's.
//! Pure.

use super::{fetch::Fetched, validated::Source};
use crate::{
    api::{MailSystem, system::ShardStatus},
    names::SystemName,
    operator::desired::backup::Data,
};

/// The volume of each shard; why there is none, if there is none.
#[must_use]
pub fn sources(fetched: &Fetched, system: &MailSystem, name: &SystemName) -> Vec<Result<Source, String>> {
    let store = &system.spec.store;
    let known = system.status.as_ref().map(|status| status.shards.as_slice()).unwrap_or_default();
    let of = |shard: u32| {
        let (pod, lag) = if store.replicas < 2 {
            (format!("{}-0", name.store(shard)), None)
        } else {
            choose(known.iter().find(|it| it.shard == shard)).ok_or_else(|| {
                format!("no store of shard {shard} serves, so it is not known which of its volumes has the mail; StoreAvailable of the MailSystem says why")
            })?
        };
        let claim = format!("data-{pod}");
        if !fetched.volumes.contains(&claim) {
            return Err(format!("the volume claim {claim} of a store is not there yet"));
        }
        let node = fetched.nodes.iter().find(|(known, _)| *known == pod).map(|(_, node)| node.clone());
        Ok(Source { pod, data: Data { claim, node }, lag })
    };
    (0..store.shards).map(of).collect()
}

/// The pod, and how far it is behind in milliseconds.
fn choose(shard: Option<&ShardStatus>) -> Option<(String, Option<u64>)> {
    let shard = shard?;
    let primary = shard.primary.clone()?;
    match &shard.replica {
        Some(replica) if shard.in_sync == Some(true) => {
            Some((replica.clone(), Some(shard.lag_seconds.unwrap_or_default() * 1000)))
        }
        _ => Some((primary, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_is_backed_up_if_it_has_everything() {
        let shard = |primary: Option<&str>, in_sync| ShardStatus {
            primary: primary.map(Into::into),
            replica: Some("b".into()),
            in_sync,
            lag_seconds: Some(2),
            ..ShardStatus::default()
        };
        assert_eq!(choose(Some(&shard(Some("a"), Some(true)))), Some(("b".into(), Some(2000))));
        assert_eq!(choose(Some(&shard(Some("a"), Some(false)))), Some(("a".into(), None)));
        assert_eq!(choose(Some(&shard(None, None))), None);
        assert_eq!(choose(None), None);
    }
}
