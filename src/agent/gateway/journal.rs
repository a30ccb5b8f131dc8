//! The gateway's journal: from settings to a writer.

use std::io;

use tokio_util::sync::CancellationToken;

use crate::{
    agent::settings::GatewaySettings,
    api::system::Durability,
    journal::{
        storage::{Location, Storage},
        writer::{self, Journal},
    },
};

/// A journal that was opened, and its work.
pub struct Opened<Work> {
    /// For those who write; `None` if nothing is to be written.
    pub journal: Option<Journal>,
    /// For those who ask how it is.
    pub observed: Journal,
    /// The work.
    pub work: Work,
}

/// Opens the journal; `None` if there is none.
///
/// # Errors
/// The backlog's folder cannot be read.
pub fn open(
    settings: &GatewaySettings,
    stop: &CancellationToken,
) -> io::Result<Option<Opened<impl Future<Output = ()> + Send + use<>>>> {
    let Some(own) = &settings.journal else { return Ok(None) };
    let location = Location {
        endpoint: own.endpoint.clone(),
        region: own.region.clone(),
        bucket: own.bucket.clone(),
        prefix: own.prefix.clone(),
    };
    let durability = match own.durability {
        Durability::Preferred => writer::Durability::Preferred,
        // Of a disabled one only the backlog is left.
        Durability::Required | Durability::Disabled => writer::Durability::Required,
    };
    let settings = writer::Settings {
        pod: settings.common.pod_name.clone(),
        durability,
        keys: own.keys.clone(),
        backlog: settings.data_dir.join("journal"),
        backlog_limit: own.backlog,
    };
    let storage = Storage::new(location, own.credentials.clone());
    let (observed, work) = Journal::open(settings, storage, stop.clone())?;
    let journal = (own.durability != Durability::Disabled).then(|| observed.clone());
    Ok(Some(Opened { journal, observed, work }))
}
