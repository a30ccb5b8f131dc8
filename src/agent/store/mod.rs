//! The store's agent: it runs Cyrus, makes it agree with the directory, and stands in front of it.
//!
//! ```text
//!  directory ─▶ provision ─IMAP 1143─▶ ┌───────┐ ─/dev/log─▶ syslog ─▶ standard output
//!  gateways ─LMTP 2003─▶ door ─LMTP──▶ │ Cyrus │ ─saslauthd socket─▶ auth (tokens)
//!                           cyrus ───▶ └───────┘ ◀─LMTP, IMAP─ probe ─▶ /readyz
//!                                      spool ─▶ usage ─▶ /usage
//! ```
//!
//! It runs without privileges and needs no API server once the directory is on its disk. Mail is deleted only
//! when the directory says to purge it.

mod auth;
mod cyrus;
mod door;
mod metrics;
mod password;
mod probe;
mod provision;
mod sessions;
mod syslog;
#[cfg(test)]
mod testing;
pub mod usage;

use std::{fs, io, net::SocketAddr, path::Path};

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, UnixDatagram, UnixListener},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    auth::Authority,
    door::Door,
    metrics::Metrics,
    password::AdminPassword,
    probe::{CYRUS, DIRECTORY, Services},
    provision::{Access, Provisioner},
    sessions::Opened,
    usage::Usage,
};
use super::{directory::Replica, settings::StoreSettings};
use crate::{
    http::{self, Readiness},
    metrics::registry,
    names::ports,
};

/// Folders that Cyrus expects to find, as `imapd.conf` names them.
const FOLDERS: [&str; 8] = [
    "/data/conf/db",
    "/data/conf/socket",
    "/data/spool",
    "/data/sieve",
    "/run/cyrus/socket",
    sessions::PROCESSES,
    "/run/cyrus/lock",
    "/run/cyrus/stats",
];
/// `/dev/log` leads here.
const LOG_SOCKET: &str = "/run/agent/log";
/// `partition-default` of `imapd.conf`.
const SPOOL: &str = "/data/spool";
/// `sasl_saslauthd_path` of `imapd.conf`.
const AUTH_SOCKET: &str = "/run/saslauthd/mux";

/// Why the store's agent ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A folder or socket cannot be made.
    #[error("cannot make {0}: {1}")]
    Make(String, io::Error),
    /// The system has no randomness.
    #[error("cannot make the administrator's password")]
    Password,
    /// A part of the agent that must not end has ended.
    #[error("a part of the agent ended: {0}")]
    Ended(String),
}

/// Runs the store's agent, and Cyrus with it, until `shutdown`. Then the door closes first, Cyrus ends, its log last.
///
/// # Errors
/// It cannot start, or a part of it failed that the others need.
pub async fn run(
    settings: StoreSettings,
    replica: Replica,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let sockets = Sockets::make(&settings).await?;
    let metrics = Metrics::default();
    let password = AdminPassword::random().map_err(|_| Error::Password)?;
    let services = Services { lmtp: loopback(ports::CYRUS_LMTP), imap: loopback(ports::CYRUS_IMAP) };
    let access = Access { address: services.imap, password: password.clone() };
    let (shut_out, to_end) = mpsc::unbounded_channel();
    let provisioner = Provisioner::new(replica.clone(), settings.shard, access, metrics.clone(), shut_out);
    let opened = Opened::default();
    let authority = Authority {
        replica: replica.clone(),
        shard: settings.shard,
        password,
        provisioner: provisioner.clone(),
        opened: opened.clone(),
    };
    let readiness = Readiness::starting(&[CYRUS, DIRECTORY]);
    let mut all = registry();
    metrics.register(&mut all);
    replica.register(&mut all);
    let (host, lmtp) = (&settings.common.mail_hostname, (settings.shard, services.lmtp));
    let door = Door::new(host, lmtp, replica.clone(), provisioner.clone(), metrics.clone())
        .of_pod(&settings.common.pod_name);
    let about = (replica.clone(), provisioner.clone());
    let usage = Usage::default();
    let status = Router::new().route("/status", get(async move || status(&about.0, &about.1)));
    let status = status.merge(door.routes()).merge(usage.routes());
    let starts = watch::Sender::new(0);

    let mut parts = JoinSet::new();
    parts.spawn(named("log", syslog::run(sockets.log, metrics.clone())));
    parts.spawn(named("saslauthd", forever(auth::run(sockets.auth, authority))));
    parts.spawn(named(
        "http",
        http::serve(sockets.http, readiness.clone(), all, status, CancellationToken::new()),
    ));
    parts.spawn(named("probe", forever(probe::run(services, replica.clone(), readiness))));
    parts.spawn(named(
        "sessions",
        forever(sessions::run(replica.clone(), settings.shard, opened, metrics.clone(), to_end)),
    ));
    parts.spawn(named("usage", forever(usage.run(Path::new(SPOOL), provisioner.clone()))));
    parts.spawn(named("provision", forever(provisioner.clone().run(starts.subscribe()))));

    let stop_cyrus = CancellationToken::new();
    let cyrus = tokio::spawn(cyrus::supervise(cyrus::command, metrics.clone(), starts, stop_cyrus.clone()));
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

/// All that is listened on: made first, so that a pod which cannot serve says so at once.
struct Sockets {
    log: UnixDatagram,
    auth: UnixListener,
    http: TcpListener,
    door: TcpListener,
}

impl Sockets {
    async fn make(settings: &StoreSettings) -> Result<Self, Error> {
        for folder in FOLDERS.iter().map(Path::new).chain([LOG_SOCKET, AUTH_SOCKET].map(parent)) {
            made(folder.display(), fs::create_dir_all(folder))?;
        }
        let (http, door) = (settings.common.http_address, SocketAddr::from(([0, 0, 0, 0], ports::DOOR)));
        Ok(Self {
            log: made(LOG_SOCKET, syslog::bind(Path::new(LOG_SOCKET)))?,
            auth: made(AUTH_SOCKET, auth::bind(Path::new(AUTH_SOCKET)))?,
            http: made(http, TcpListener::bind(http).await)?,
            door: made(door, TcpListener::bind(door).await)?,
        })
    }
}

fn parent(path: &'static str) -> &'static Path {
    Path::new(path).parent().unwrap_or(Path::new("/"))
}

fn made<T>(what: impl std::fmt::Display, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| Error::Make(what.to_string(), error))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn named(
    part: &'static str,
    work: impl Future<Output = io::Result<()>>,
) -> (&'static str, io::Result<()>) {
    (part, work.await)
}

async fn forever(work: impl Future<Output = ()>) -> io::Result<()> {
    work.await;
    Ok(())
}

/// What this agent holds of the directory, and what Cyrus has of it.
fn status(replica: &Replica, provisioner: &Provisioner) -> Json<Value> {
    Json(json!({ "directory": replica.issued(), "store": provisioner.status() }))
}
