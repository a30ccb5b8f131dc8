//! The store's agent: it runs Cyrus, makes it agree with the directory, and stands in front of it.
//!
//! ```text
//!  directory ─▶ provision ─IMAP 1143─▶ ┌───────┐ ─/dev/log─▶ syslog ─▶ standard output
//!  gateways ─LMTP 2003─▶ door ─LMTP──▶ │ Cyrus │ ─saslauthd socket─▶ auth (tokens)
//!                           cyrus ───▶ └───────┘ ◀─LMTP, IMAP─ probe ─▶ /readyz
//!                                      spool ─▶ usage ─▶ /usage, warnings ─▶ SMTP to the gateways
//! ```
//!
//! A shard has one store ([`alone`]), or two of which one serves ([`pair`], [`role`]) and sends what it changes to the other
//! ([`replication`]). Whichever serves takes mail that a restore brings back ([`restore`]).
//!
//! It runs without privileges and needs no API server once the directory is on its disk. Mail is deleted only
//! when the directory says to purge it.

mod alone;
mod auth;
mod back;
pub mod backup;
pub(super) mod cyrus;
mod door;
mod metrics;
mod pair;
pub(super) mod password;
mod probe;
mod provision;
mod replication;
pub mod restore;
mod role;
#[cfg(test)]
mod scripted;
mod sessions;
mod signed;
mod syslog;
#[cfg(test)]
mod testing;
pub mod usage;
mod warnings;

use std::{fs, io, net::SocketAddr, path::Path};

use axum::{Json, Router, routing::get};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, UnixDatagram, UnixListener},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use self::{
    auth::{Authority, Replicator},
    metrics::Metrics,
    password::AdminPassword,
    probe::{CYRUS, DIRECTORY, Services},
    provision::{Access, Provisioner},
    sessions::Opened,
    usage::Usage,
    warnings::Warnings,
};
pub use self::{
    role::{PeerClient, PeerKey, watchdog::run as watch_over_cyrus},
    signed::read_key,
};
use super::{directory::Replica, settings::StoreSettings};
use crate::{http::Readiness, metrics::registry, names::ports};

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
    /// The key of the stores cannot be read.
    #[error("{0}: {1}")]
    Key(String, io::Error),
    /// It cannot be primary or replica.
    #[error(transparent)]
    Role(#[from] role::Error),
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
    let parts = Parts::new(&settings, replica)?;
    match settings.peer_pattern.as_deref().filter(|_| settings.replicas > 1) {
        Some(peers) => pair::run(&settings, peers, sockets, parts, shutdown).await,
        None => alone::run(&settings, sockets, parts, shutdown).await,
    }
}

/// What every store's agent is made of.
struct Parts {
    replica: Replica,
    metrics: Metrics,
    services: Services,
    password: AdminPassword,
    provisioner: Provisioner,
    opened: Opened,
    to_end: mpsc::UnboundedReceiver<String>,
    readiness: Readiness,
    usage: Usage,
    warnings: Warnings,
    shard: u32,
}

impl Parts {
    fn new(settings: &StoreSettings, replica: Replica) -> Result<Self, Error> {
        let metrics = Metrics::default();
        let password = AdminPassword::random().map_err(|_| Error::Password)?;
        let services = Services { lmtp: loopback(ports::CYRUS_LMTP), imap: loopback(ports::CYRUS_IMAP) };
        let access = Access { address: services.imap, password: password.clone() };
        let (shut_out, to_end) = mpsc::unbounded_channel();
        let warnings = Warnings::open(settings, metrics.clone());
        let provisioner =
            Provisioner::new(replica.clone(), settings.shard, access, metrics.clone(), shut_out);
        Ok(Self {
            replica,
            metrics,
            services,
            password,
            provisioner,
            opened: Opened::default(),
            to_end,
            readiness: Readiness::starting(&[CYRUS, DIRECTORY]),
            usage: Usage::default(),
            warnings,
            shard: settings.shard,
        })
    }

    fn authority(&self, replicator: Option<Replicator>) -> Authority {
        Authority {
            replica: self.replica.clone(),
            shard: self.shard,
            password: self.password.clone(),
            provisioner: self.provisioner.clone(),
            opened: self.opened.clone(),
            replicator,
        }
    }

    fn registry(&self) -> Registry {
        let mut all = registry();
        self.metrics.register(&mut all);
        self.replica.register(&mut all);
        all
    }

    /// `/status`: what this agent holds of the directory, what Cyrus has of it, and what `more` adds.
    fn status(
        &self,
        more: impl Fn() -> Option<(&'static str, Value)> + Clone + Send + Sync + 'static,
    ) -> Router {
        let (replica, provisioner) = (self.replica.clone(), self.provisioner.clone());
        let status = move || {
            let mut status = json!({ "directory": replica.issued(), "store": provisioner.status() });
            if let Some((name, value)) = more() {
                status[name] = value;
            }
            Json(status)
        };
        Router::new().route("/status", get(async move || status()))
    }
}

/// Makes the folders that Cyrus expects to find.
fn make_folders() -> Result<(), Error> {
    FOLDERS.iter().try_for_each(|folder| made(folder, fs::create_dir_all(folder)))
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
        make_folders()?;
        for folder in [LOG_SOCKET, AUTH_SOCKET].map(parent) {
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
