//! The gateway's agent: it stands at both ends of Postfix and tells nginx where mailboxes are.
//!
//! ```text
//!               ┌─ map, sasl ▶ sockets ─┐
//!  Postfix ─────┼─ policy ───▶ sending ─┼─▶ Valkey
//!               ├─ gate ─────▶ gate ────┼─▶ clamd          nginx ─ /auth ─▶ sockets::auth_http
//!               └─ lmtp ─────▶ router ──┴─▶ stores         directory ─▶ domains ─▶ file, reload
//! ```
//!
//! Clients of ManageSieve come to [`sieve`], which passes them on to their stores.
//!
//! It needs no API server once the directory is on its disk. When one part ends, all end: the kubelet starts it anew.

pub mod audit;
mod certificate;
mod daemon;
mod domains;
pub mod gate;
mod journal;
pub mod router;
pub mod sieve;
mod status;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use axum::Router as Routes;
use tokio::{
    fs,
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    audit::{Audit, replay::Replay},
    gate::{Gate, decide::Policy},
    router::{Router, Stores},
    sieve::Proxy,
};
use super::{
    directory::Replica,
    logins::Logins,
    sending::Sending,
    settings::GatewaySettings,
    sockets::{auth_http::AuthHttp, listener, passwords::Passwords, sasl, socketmap},
};
use crate::{
    http::{self, Readiness},
    metrics,
    names::ports,
    store_login,
    wire::secret::Secret,
};

/// Longest end: a little more than what connections get.
const END_WITHIN: Duration = Duration::from_secs(12);

/// Why the gateway's agent ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A socket cannot be made.
    #[error("cannot listen at {0}: {1}")]
    Listen(String, io::Error),
    /// The token of Rspamd's verdicts cannot be read: no message could pass.
    #[error("the token of verdicts cannot be read: {0}")]
    Token(io::Error),
    /// The folder of the journal's backlog cannot be read: what waits there would be forgotten.
    #[error("the journal's backlog cannot be read: {0}")]
    Journal(io::Error),
    /// What was known of accepted mail cannot be read, or Postfix' log cannot be made.
    #[error("the audit cannot begin: {0}")]
    Audit(io::Error),
    /// The token's file is empty: anybody's verdict would count.
    #[error("the token of verdicts is empty")]
    NoToken,
    /// A part that must not end has ended.
    #[error("a part of the agent ended")]
    Ended,
}

/// Runs the gateway's agent until `shutdown`; then nothing new is accepted, and what runs gets some seconds.
///
/// # Errors
/// It cannot start, or a part of it ended.
pub async fn run(
    settings: GatewaySettings,
    replica: Replica,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let stop = shutdown.child_token();
    let mut parts = Box::pin(start(&settings, &replica, &stop)).await?;
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = parts.join_next() => {}
    }
    let early = !shutdown.is_cancelled();
    stop.cancel();
    if timeout(END_WITHIN, async { while parts.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(parts = parts.len(), "the agent ends before all of its parts");
    }
    if early { Err(Error::Ended) } else { Ok(()) }
}

async fn start(
    settings: &GatewaySettings,
    replica: &Replica,
    stop: &CancellationToken,
) -> Result<JoinSet<()>, Error> {
    let token = token(settings).await?;
    // Before anything is made on it.
    let new_volume = !settings.data_dir.join(journal::BACKLOG).exists();
    let opened = journal::open(settings, stop).map_err(Error::Journal)?;
    let audit = journal::audit(settings, new_volume);
    let (audit, auditing) = Audit::open(audit, stop.clone()).map_err(Error::Audit)?;
    let journal = opened.as_ref().and_then(|opened| opened.journal.clone());
    let logins = Logins::open(&settings.data_dir);
    let gate = gate(settings, &token, replica).with_journal(journal).with_logins(logins.clone());
    let replay = Replay::new(audit.clone(), replica.clone(), gate.clone(), &token);
    let stores = stores(settings);
    let router = Router::new(&settings.common.mail_hostname, replica.clone(), stores.clone());
    let passwords = Passwords::new(replica.clone(), logins.clone());
    let sieve = Proxy {
        passwords: passwords.clone(),
        replica: replica.clone(),
        stores: stores.clone(),
        tls_dir: settings.tls_dir.clone().into(),
    };
    let auth = AuthHttp { passwords: passwords.clone(), replica: replica.clone(), stores: stores.clone() };
    let readiness = Readiness::starting(&[]);
    readiness.blocked(domains::PART, "no directory yet");

    let mut registry = metrics::registry();
    replica.register(&mut registry);
    passwords.register(&mut registry);
    gate.register(&mut registry);
    let observed = opened.as_ref().map(|opened| opened.observed.clone());
    if let Some(journal) = &observed {
        journal.register(&mut registry);
    }
    audit.register(&mut registry);
    router.register(&mut registry);
    stores.register(&mut registry);
    let run = &settings.run_dir;
    let sending = Sending::new(replica.clone(), &settings.cache_address);
    sending.register(&mut registry);
    let map = socketmap::serve(&run.join("map"), replica.clone(), &mut registry, stop.clone());
    let own = Secret::new(store_login::password(&token));
    let services = passwords.services();
    let sasl = sasl::serve(&run.join("sasl"), passwords, own, stop.clone());

    let mut parts = JoinSet::new();
    parts.spawn(map.map_err(|error| Error::Listen("map".into(), error))?);
    parts.spawn(sasl.map_err(|error| Error::Listen("sasl".into(), error))?);
    let mut segments = Routes::new();
    if let Some(opened) = opened {
        segments = opened.routes;
        parts.spawn(opened.work);
    }
    let policy = sending.clone().serve(&run.join("policy"), stop.clone());
    parts.spawn(policy.map_err(|error| Error::Listen("policy".into(), error))?);
    parts.spawn(gate.run(unix(settings, "gate")?, stop.clone()));
    parts.spawn(router.run(unix(settings, "lmtp")?, stop.clone()));
    let address = settings.auth_address;
    parts.spawn(serve_auth(tcp(address).await?, auth.routes(), stop.clone()));
    parts.spawn(sieve.run(tcp(settings.sieve_address).await?, stop.clone()));
    parts.spawn(auditing);
    if let Some(probing) = stores.probing() {
        parts.spawn(until(stop.clone(), probing));
    }
    parts.spawn(until(stop.clone(), services.clone().watch(replica.clone())));
    let extra = status::routes(replica, (observed, audit.clone()), (sending, services), stores)
        .merge(logins.routes());
    let extra = extra.merge(segments).merge(audit.routes()).merge(replay.routes());
    let address = settings.common.http_address;
    let server = http::serve(tcp(address).await?, readiness.clone(), registry, extra, stop.clone());
    parts.spawn(async move { logged(server.await) });
    let domains = domains::run(replica.clone(), run.clone(), readiness);
    parts.spawn(until(stop.clone(), domains));
    parts.spawn(logins.keep(replica.clone(), stop.clone()));
    parts.spawn(until(stop.clone(), certificate::run(settings.tls_dir.clone(), run.clone())));
    Ok(parts)
}

/// The token by which Rspamd's verdicts are known.
async fn token(settings: &GatewaySettings) -> Result<String, Error> {
    let token = fs::read_to_string(&settings.token_file).await.map_err(Error::Token)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty()).ok_or(Error::NoToken)
}

fn gate(settings: &GatewaySettings, token: &str, replica: &Replica) -> Gate {
    let policy =
        Policy { on_failure: settings.antivirus_on_failure, on_detection: settings.antivirus_on_detection };
    Gate::new(policy, token, replica.clone(), (&settings.clamd_host, ports::ANTIVIRUS))
}

fn stores(settings: &GatewaySettings) -> Stores {
    match settings.store_replicas {
        1 => Stores::new(&settings.store_host_pattern),
        _ => Stores::in_pairs(&settings.store_host_pattern, settings.store_shards),
    }
}

async fn serve_auth(listener: TcpListener, routes: Routes, stop: CancellationToken) {
    logged(axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await);
}

async fn until(stop: CancellationToken, part: impl Future<Output = ()>) {
    stop.run_until_cancelled(part).await;
}

fn logged(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a server ended");
    }
}

fn unix(settings: &GatewaySettings, name: &str) -> Result<UnixListener, Error> {
    listener::bind(&settings.run_dir.join(name)).map_err(|error| Error::Listen(name.to_owned(), error))
}

async fn tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Listen(address.to_string(), error))
}
