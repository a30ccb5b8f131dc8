//! The objects of a system that go along with its mail, so that it can be made anew on an empty cluster.
//!
//! ```text
//!  MailSystem, MailDomains, Mailboxes, …, Secrets ──gather──▶ bare, named (pure) ──pack──▶ Secrets RUN-objects-N ─▶ pod of the run
//! ```
//!
//! What is packed is JSON lines in zstd, an object in each line as `kubectl apply` takes it, in the order in which they can be
//! made. What opens the repository never goes along: whoever reads it here has that. How they come back is in
//! [`restore::objects`](crate::operator::restore::objects).

pub mod bare;
mod gather;
mod keep;
pub mod kind;
mod list;
pub mod named;
pub mod pack;

use kube::{Client, ResourceExt};

pub use self::{
    gather::served,
    list::{transient, tries},
};
use crate::{
    api::{MailBackup, backup::IncludeObjects},
    names::SystemName,
};

/// Why the objects cannot go along.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// There is no MailSystem of this name.
    #[error("there is no MailSystem {0}")]
    NoSystem(SystemName),
    /// The API server refused, or did not answer for some time.
    #[error("the objects cannot be read or handed on: {0}")]
    Api(#[from] kube::Error),
    /// They cannot be packed.
    #[error("the objects cannot be packed: {0}")]
    Pack(#[from] std::io::Error),
}

impl Error {
    /// In a word: the reason of a condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoSystem(_) => "SystemNotFound",
            Self::Api(_) => "ObjectsUnavailable",
            Self::Pack(_) => "ObjectsNotPacked",
        }
    }
}

/// Gathers the objects that are to go along with the run, and gives the names of the Secrets that hold them, in order; none
/// if none are to. `watched` is the only namespace that the operator looks at, if it is told one. It can be called again
/// for the same run.
///
/// # Errors
/// See [`Error`].
pub async fn export(
    client: &Client,
    watched: Option<&str>,
    backup: &MailBackup,
    run: &str,
) -> Result<Vec<String>, Error> {
    let secrets = match backup.spec.objects {
        IncludeObjects::None => return Ok(Vec::new()),
        IncludeObjects::WithoutSecrets => false,
        IncludeObjects::WithSecrets => true,
    };
    let system = SystemName::new(backup.namespace().unwrap_or_default(), &backup.spec.system.name);
    let packed = gather::gather(client, watched, &system, secrets).await?;
    keep::keep(client, backup, run, &packed).await
}

/// Deletes the Secrets of a run that is over.
///
/// # Errors
/// The API server's.
pub async fn remove(client: &Client, namespace: &str, run: &str) -> Result<(), kube::Error> {
    keep::forget(client, namespace, run, &std::collections::BTreeSet::new()).await
}
