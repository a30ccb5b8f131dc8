//! One of a shard's two stores: it serves only while its role is primary.

use std::{net::SocketAddr, path::Path, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Parts, SPOOL, Sockets,
    alone::shard_name,
    auth::{self, Replicator},
    back::Desk,
    door::{Door, Locks},
    forever, made, named,
    probe::{CYRUS, DIRECTORY},
    restore,
    role::{self, DATA, PeerKey, Role, Shared},
    sessions,
    signed::read_key,
    syslog,
};
use crate::{
    agent::{
        directory::{Replica, in_cluster},
        settings::StoreSettings,
    },
    failover::Epoch,
    http::{self, Readiness},
    names::ports,
    role::{Phase, Report},
    wire::secret::Secret,
};

/// Readiness is looked at this often.
const PERIOD: Duration = Duration::from_millis(500);

/// Runs it until `shutdown`; the other stores of the shard are called as the pattern `peers` says.
pub(super) async fn run(
    settings: &StoreSettings,
    peers: &str,
    sockets: Sockets,
    all: Parts,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let key = read_key(&settings.peer_key_file)
        .map_err(|error| Error::Key(settings.peer_key_file.display().to_string(), error))?;
    let role = open(settings, peers, &key, &all)?;
    let serving = role.shared().clone();
    let serves = move || serving.serves().map(Epoch::number);
    let deliveries = Locks::default();
    let provisioning = (all.provisioner.clone(), deliveries.clone());
    let desk = Desk::new(PeerKey::new(&key), provisioning, Path::new(SPOOL), serves);
    let directory = (all.replica.clone(), settings.shard);
    let serving = role.shared().clone();
    let serves = move || serving.serves().map(Epoch::number);
    let restores =
        restore::Desk::new(PeerKey::new(&key), directory, all.provisioner.clone(), Path::new(SPOOL), serves);
    let role = role.with_routes(desk.routes().merge(restores.routes()));
    let address = SocketAddr::from(([0, 0, 0, 0], ports::ROLE));
    let listener = made(address, TcpListener::bind(address).await)?;
    let (shared, service) = (role.shared().clone(), role.service());
    let about = shared.clone();
    let status = all.status(move || Some(("role", serde_json::to_value(about.report()).ok()?)));
    let replicator = Replicator { key: Secret::new(key.into_bytes()), service: service.clone() };
    let (registry, authority) = (all.registry(), all.authority(Some(replicator)));
    let Parts {
        replica,
        metrics,
        services,
        provisioner,
        opened,
        to_end,
        readiness,
        usage,
        warnings,
        shard,
        ..
    } = all;
    let host = &settings.common.mail_hostname;
    let door = Door::new(host, (shard, services.lmtp), replica.clone(), provisioner.clone(), metrics.clone())
        .of_pod(&settings.common.pod_name)
        .letting_in(warnings.clone())
        .sharing(deliveries);
    let status = status.merge(door.routes()).merge(usage.routes());
    let (channel, trouble) = mpsc::unbounded_channel();
    let (drained, is_drained) = watch::channel(true);

    let mut parts = JoinSet::new();
    parts.spawn(named("log", syslog::run(sockets.log, metrics.clone(), Some(channel))));
    parts.spawn(named("saslauthd", forever(auth::run(sockets.auth, authority))));
    parts.spawn(named(
        "http",
        http::serve(sockets.http, readiness.clone(), registry, status, CancellationToken::new()),
    ));
    parts.spawn(named("readiness", forever(be_ready(shared, replica.clone(), readiness))));
    parts.spawn(named(
        "sessions",
        forever(sessions::run(replica.clone(), shard, opened, metrics.clone(), to_end)),
    ));
    parts.spawn(named(
        "warnings",
        forever(warnings.run(usage.clone(), replica.clone(), Some(service.clone()))),
    ));
    parts.spawn(named("usage", forever(usage.run(Path::new(SPOOL), provisioner.clone()))));
    parts.spawn(named("provision", forever(provisioner.clone().run_while_open(service.clone()))));
    parts.spawn(named("door", forever(door.run_while_open(sockets.door, service, drained))));

    let (to, from) = ((listener, services), (is_drained, trouble));
    let mut role = tokio::spawn(role.run(in_cluster(), to, from, shutdown.clone()));
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(part) = parts.join_next() => Err(Error::Ended(format!("{part:?}"))),
        role = &mut role => return Err(Error::Ended(format!("role: {role:?}"))),
    };
    shutdown.cancel();
    // The door and the log go on until Cyrus has ended.
    let _ = role.await;
    ended
}

fn open(settings: &StoreSettings, peers: &str, key: &str, all: &Parts) -> Result<Role, Error> {
    let system = settings.common.system();
    let settings = role::Settings {
        pod: &settings.common.pod_name,
        shard: shard_name(settings),
        lease: (settings.common.pod_namespace.clone(), system.store(settings.shard)),
        data: Path::new(DATA),
        peers,
        key,
        stale_after: settings.stale_after.map(Duration::from_secs),
        retention: settings.journal_retention.map(|days| Duration::from_hours(24) * days),
    };
    Ok(Role::open(&settings, all.metrics.clone())?)
}

/// Says whether this store does what its role is, until it is dropped.
async fn be_ready(shared: Shared, replica: Replica, readiness: Readiness) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = shared.memory().has_begun();
        match what_is_missing(&shared.report(), begun) {
            None => readiness.ready(CYRUS),
            Some(why) => readiness.blocked(CYRUS, why),
        }
        if replica.loaded() {
            readiness.ready(DIRECTORY);
        } else {
            readiness.blocked(DIRECTORY, "not loaded yet");
        }
    }
}

/// Why it is not ready: it neither serves nor has everything. In a shard that has not begun there is nothing to be had:
/// while the second store of a shard that had one is not ready, its StatefulSet would not let the first one start anew, and
/// only together can they begin.
fn what_is_missing(report: &Report, begun: bool) -> Option<String> {
    match report.phase {
        Phase::Primary | Phase::InSync => None,
        Phase::Unseeded if !begun => None,
        phase if report.message.is_empty() => Some(format!("{phase:?}")),
        phase => Some(format!("{phase:?}: {}", report.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_it_serves_or_has_everything() {
        let report = |phase| Report {
            pod: "s-store-0-1".into(),
            epoch: 3,
            serving: false,
            phase,
            in_sync: false,
            message: "for a reason".into(),
            lag: None,
            progress: None,
            stale_takeover: None,
        };
        for begun in [false, true] {
            assert_eq!(what_is_missing(&report(Phase::Primary), begun), None);
            assert_eq!(what_is_missing(&report(Phase::InSync), begun), None);
            let missing = what_is_missing(&report(Phase::Returning), begun).unwrap();
            assert_eq!(missing, "Returning: for a reason");
        }
        assert_eq!(what_is_missing(&report(Phase::Unseeded), false), None);
        assert!(what_is_missing(&report(Phase::Unseeded), true).is_some(), "its volume was lost");
    }
}
