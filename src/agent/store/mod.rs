//! The store's agent: door, provisioning, supervision of Cyrus.

use tokio_util::sync::CancellationToken;

use super::{directory::Replica, settings::StoreSettings};

/// Why the store's agent ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {}

/// Runs the store's agent until `shutdown`.
///
/// # Errors
/// It cannot start.
pub async fn run(_: StoreSettings, _: Replica, shutdown: CancellationToken) -> Result<(), Error> {
    shutdown.cancelled().await;
    Ok(())
}
