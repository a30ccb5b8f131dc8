//! The gateway's agent: gate and router.

pub mod gate;
pub mod router;

use tokio_util::sync::CancellationToken;

use super::{directory::Replica, settings::GatewaySettings};

/// Why the gateway's agent ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {}

/// Runs the gateway's agent until `shutdown`.
///
/// # Errors
/// It cannot start.
pub async fn run(_: GatewaySettings, _: Replica, shutdown: CancellationToken) -> Result<(), Error> {
    shutdown.cancelled().await;
    Ok(())
}
