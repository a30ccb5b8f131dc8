//! Mailboxes and domains: events folded into an index, compiled into the directory.
//!
//! ```text
//!  System, Domain, Mailbox, Group ──seen──▶  index (pure) ──compile──▶ issue ──▶ directory Secrets ──▶ agents
//!  Secrets ──credentials, password──▶ login ┘     │                                                     │
//!                                              verdict ──review──▶ status ◀──what they hold── waiting ◀─┤
//!                                                                    └────────────────────── usage ◀─┘
//! ```
//!
//! One task ([`run`]) owns the index and starts everything else. Cost grows with changes, not with mailboxes: a Mailbox
//! costs one Secret (if its password is generated) and one status. What a restart finds as it should be it does not
//! write. Nothing here renders configuration or touches workloads.

mod agents;
mod bulk;
mod came_back;
pub mod census;
mod checking;
mod cluster;
mod confirm;
mod controller;
mod credentials;
mod deadlines;
mod departures;
mod dkim;
mod dkim_secret;
mod domain_status;
mod due;
mod fold;
mod group_status;
mod groups;
mod index;
mod issue;
mod load;
mod marks;
pub mod metrics;
mod outcome;
pub mod password;
mod restored;
mod retired;
mod retired_object;
mod retired_status;
mod review;
mod role;
mod rotation;
mod secrets;
mod seen;
mod signing;
mod status;
mod statuses;
mod system_work;
mod unread;
mod usage;
mod waiting;

pub use agents::{Answer, ask_one, get};
pub use census::{Census, Counts, DirectoryTrouble};
pub use metrics::Metrics;

use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::operator::cluster::events::Events;

/// Why the controller ended before it was told to.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The watches ended, which they never do by themselves.
    #[error("the watches of mailboxes ended")]
    WatchesEnded,
    /// A task panicked.
    #[error("work beside the controller of mailboxes ended early: {0}")]
    Work(#[from] tokio::task::JoinError),
}

/// Serves mailboxes and domains until `shutdown`. Run it only while holding the operator's lease.
///
/// `namespace` limits what is watched; counts go to `census` whenever they change.
///
/// # Errors
/// The watches ended by themselves, or a task panicked.
pub async fn run(
    client: Client,
    namespace: Option<String>,
    events: Events,
    census: watch::Sender<Census>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let controller = controller::Controller::new(client, events, census, metrics);
    // It is large, and those who await it would be, too.
    Box::pin(controller.run(namespace.as_deref(), shutdown)).await
}
