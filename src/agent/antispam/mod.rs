//! The agent beside Rspamd: it gives Rspamd the DKIM keys, at once, and says which it gave.
//!
//! ```text
//!  Secret with keys ─watch─▶ files in memory ─▶ Rspamd (reads them for each message that it signs)
//!                                │
//!                                └─▶ /status ─▶ operator: the key is in use
//! ```
//!
//! A Secret volume would come up to two minutes late, and nobody would know when. It is ready when it holds the Secret:
//! a pod without keys would let mail out unsigned.

mod files;

use std::{io, sync::Arc};

use axum::{Json, Router, routing::get};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use self::files::{Files, Marks};
use super::{directory::watch_secret, settings::AntispamSettings};
use crate::{
    http::{self, Readiness},
    metrics,
};

/// What it waits for before it is ready.
const KEYS: &str = "keys";

/// Why the agent ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// Nobody could ask it.
    #[error("cannot listen at {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    /// A part that must not end has ended.
    #[error("a part of the agent ended")]
    Ended,
}

/// Runs the agent until `shutdown`, with the keys that `client` sees.
///
/// # Errors
/// It cannot start, or a part of it ended.
pub async fn run(
    settings: AntispamSettings,
    client: impl Future<Output = Client>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let address = settings.common.http_address;
    let listener = TcpListener::bind(address).await.map_err(|error| Error::Listen(address, error))?;
    let (readiness, held) = (Readiness::starting(&[KEYS]), watch::Sender::new(Arc::new(Marks::new())));
    let marks = held.subscribe();
    let status = async move || Json(json!({ "dkim": **marks.borrow() }));
    let routes = Router::new().route("/status", get(status));
    let server = http::serve(listener, readiness.clone(), metrics::registry(), routes, shutdown.clone());
    let follower = async {
        let system = settings.common.system();
        let secrets = Api::namespaced(client.await, &system.namespace);
        follow(secrets, system.dkim(), Files::new(settings.keys_dir), held, readiness).await;
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        () = follower => Err(Error::Ended),
        _ = server => if shutdown.is_cancelled() { Ok(()) } else { Err(Error::Ended) },
    }
}

/// Keeps the files as the Secret `name` is, for ever. What is held stays when the Secret goes.
async fn follow(
    secrets: Api<Secret>,
    name: String,
    mut files: Files,
    held: watch::Sender<Arc<Marks>>,
    readiness: Readiness,
) {
    let (seen, mut inbox) = mpsc::channel(8);
    let watching = watch_secret(secrets, (), name.clone(), seen);
    let taking = async {
        while let Some(((), secret)) = inbox.recv().await {
            let Some(secret) = secret else {
                tracing::warn!(secret = name, "not in the cluster; what is held stays");
                continue;
            };
            match files.put(&secret.data.unwrap_or_default()) {
                Ok(marks) => {
                    tracing::info!(domains = marks.len(), "the DKIM keys are in place");
                    held.send_replace(Arc::new(marks));
                    readiness.ready(KEYS);
                }
                Err(error) => tracing::error!(%error, "the DKIM keys cannot be written"),
            }
        }
    };
    tokio::join!(watching, taking);
}
