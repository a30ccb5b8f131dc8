//! A store without another: it serves as long as it runs.

use std::{net::SocketAddr, path::Path};

use axum::{Json, Router, routing::get};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Parts, SPOOL, Sockets, auth, cyrus,
    door::Door,
    forever, made, named, probe, restore,
    role::{self, DATA, PeerKey},
    sessions,
    signed::read_key,
    syslog,
};
use crate::{
    agent::settings::StoreSettings,
    http,
    names::ports,
    role::{Phase, Report},
};

/// The services of a store that has no replica.
const CYRUS_CONF: &str = "/config/cyrus.conf";

/// What it has in place of an epoch.
const EPOCH: u64 = 0;

/// Runs it until `shutdown`.
pub(super) async fn run(
    settings: &StoreSettings,
    sockets: Sockets,
    all: Parts,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    role::may_serve_alone(Path::new(DATA), &shard_name(settings))?;
    made("role.conf", role::without_a_replica())?;
    let report = report_of(&settings.common.pod_name);
    let role = serde_json::to_value(&report).ok();
    let status = all.status(move || Some(("role", role.clone()?)));
    let restores = restores(settings, &all);
    let (registry, authority) = (all.registry(), all.authority(None));
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
        .letting_in(warnings.clone());
    let status = status.merge(door.routes()).merge(usage.routes());
    let starts = watch::Sender::new(0);
    let address = SocketAddr::from(([0, 0, 0, 0], ports::ROLE));
    let asked = made(address, TcpListener::bind(address).await)?;
    let role = Router::new().route("/role", get(async move || Json(report))).merge(restores);

    let mut parts = JoinSet::new();
    parts.spawn(named("log", syslog::run(sockets.log, metrics.clone(), None)));
    parts.spawn(named("saslauthd", forever(auth::run(sockets.auth, authority))));
    parts.spawn(named(
        "http",
        http::serve(sockets.http, readiness.clone(), registry, status, CancellationToken::new()),
    ));
    parts.spawn(named("probe", forever(probe::run(services, replica.clone(), readiness))));
    parts.spawn(named(
        "sessions",
        forever(sessions::run(replica.clone(), shard, opened, metrics.clone(), to_end)),
    ));
    parts.spawn(named("warnings", forever(warnings.run(usage.clone(), replica.clone(), None))));
    parts.spawn(named("role", async { axum::serve(asked, role).await }));
    parts.spawn(named("usage", forever(usage.run(Path::new(SPOOL), provisioner.clone()))));
    parts.spawn(named("provision", forever(provisioner.clone().run(starts.subscribe()))));

    let stop_cyrus = CancellationToken::new();
    let command = || cyrus::command(CYRUS_CONF);
    let cyrus = tokio::spawn(cyrus::supervise(command, metrics.clone(), starts, stop_cyrus.clone()));
    let door = tokio::spawn(door.run(sockets.door, shutdown.clone()));

    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(part) = parts.join_next() => Err(Error::Ended(format!("{part:?}"))),
    };
    shutdown.cancel();
    let _ = door.await;
    stop_cyrus.cancel();
    let _ = cyrus.await;
    ended
}

/// Where mail comes back. Without the key nobody is let in, and mail is served all the same.
fn restores(settings: &StoreSettings, all: &Parts) -> Router {
    match read_key(&settings.peer_key_file) {
        Ok(key) => {
            let directory = (all.replica.clone(), settings.shard);
            let (key, provisioner) = (PeerKey::new(&key), all.provisioner.clone());
            restore::Desk::new(key, directory, provisioner, Path::new(SPOOL), || Some(EPOCH)).routes()
        }
        Err(error) => {
            let file = settings.peer_key_file.display();
            tracing::error!(%error, %file, "no restore can bring mail here");
            Router::new()
        }
    }
}

/// It serves, in no epoch: gateways and an operator that know already of a second store ask who does.
fn report_of(pod: &str) -> Report {
    Report {
        pod: pod.to_owned(),
        epoch: EPOCH,
        serving: true,
        phase: Phase::Primary,
        in_sync: false,
        message: String::new(),
        lag: None,
        progress: None,
        stale_takeover: None,
    }
}

/// Whose shard it is, as it is written on the volume.
pub(super) fn shard_name(settings: &StoreSettings) -> String {
    let common = &settings.common;
    format!("{}/{}/{}", common.pod_namespace, common.mail_system, settings.shard)
}
