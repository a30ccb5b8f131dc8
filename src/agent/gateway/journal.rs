//! The gateway's journal: from settings to a writer.

use std::io;

use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

use super::audit;
use crate::{
    agent::settings::{GatewaySettings, JournalSettings},
    api::system::Durability,
    journal::{
        Listed, Name, Page, completion,
        storage::{Location, Storage, StorageError},
        writer::{self, Journal},
    },
};

/// A journal that was opened, and its work.
pub struct Opened<Work> {
    /// For those who write; `None` if nothing is to be written.
    pub journal: Option<Journal>,
    /// For those who ask how it is.
    pub observed: Journal,
    /// `/journal` and `/completions`: files, encrypted as they are, for whoever has the key.
    pub routes: Router,
    /// The work.
    pub work: Work,
}

/// The folder of the backlog below the agent's.
pub const BACKLOG: &str = "journal";
/// Segments on a page.
const PAGE: usize = 1000;

/// Opens the journal; `None` if there is none.
///
/// # Errors
/// The backlog's folder cannot be read.
pub fn open(
    settings: &GatewaySettings,
    stop: &CancellationToken,
) -> io::Result<Option<Opened<impl Future<Output = ()> + Send + use<>>>> {
    let Some(own) = &settings.journal else { return Ok(None) };
    let durability = match own.durability {
        Durability::Preferred => writer::Durability::Preferred,
        // Of a disabled one only the backlog is left.
        Durability::Required | Durability::Disabled => writer::Durability::Required,
    };
    let settings = writer::Settings {
        pod: settings.common.pod_name.clone(),
        durability,
        keys: own.keys.clone(),
        backlog: settings.data_dir.join(BACKLOG),
        backlog_limit: own.backlog,
    };
    let storage = storage(own);
    let routes = routes(&storage);
    let (observed, work) = Journal::open(settings, storage, stop.clone())?;
    let journal = (own.durability != Durability::Disabled).then(|| observed.clone());
    Ok(Some(Opened { journal, observed, routes, work }))
}

fn storage(own: &JournalSettings) -> Storage {
    let location = Location {
        endpoint: own.endpoint.clone(),
        region: own.region.clone(),
        bucket: own.bucket.clone(),
        prefix: own.prefix.clone(),
    };
    Storage::new(location, own.credentials.clone())
}

/// What the audit is told; `new_volume` as in [`audit::Settings`].
pub fn audit(settings: &GatewaySettings, new_volume: bool) -> audit::Settings {
    let destination = settings.journal.as_ref();
    audit::Settings {
        pod: settings.common.pod_name.clone(),
        run_dir: settings.run_dir.clone(),
        data_dir: settings.data_dir.clone(),
        new_volume,
        destination: destination.map(|own| audit::Destination {
            storage: storage(own),
            keys: own.keys.clone(),
            retention: own.retention,
        }),
    }
}

/// Segments under `/journal`, completions under `/completions`.
fn routes(storage: &Storage) -> Router {
    let completions = storage.within(completion::FOLDER);
    [("/journal", storage.clone()), ("/completions", completions)]
        .into_iter()
        .fold(Router::new(), |routes, (path, storage)| routes.merge(files(path, storage)))
}

fn files(path: &str, storage: Storage) -> Router {
    let (listing, reading) = (storage.clone(), storage);
    let list = async move |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        let after = query.strip_prefix("after=").and_then(Name::parse);
        listing
            .list(after.as_ref(), PAGE)
            .await
            .map(|segments| Json(page(segments)))
            .map_err(|error| refused(&error))
    };
    let read = async move |Path((series, file)): Path<(String, String)>| {
        let Some(name) = Name::parse(&format!("{series}/{file}")) else {
            return Err((StatusCode::NOT_FOUND, "there is no such file\n").into_response());
        };
        reading.get(&name).await.map_err(|error| refused(&error))
    };
    Router::new().route(path, get(list)).route(&format!("{path}/{{series}}/{{file}}"), get(read))
}

fn page(segments: Vec<(Name, i64)>) -> Page {
    let next = segments.get(PAGE - 1).map(|(name, _)| name.to_string());
    let listed = |(name, written): (Name, i64)| Listed { name: name.to_string(), written };
    Page { segments: segments.into_iter().map(listed).collect(), next }
}

fn refused(error: &StorageError) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response()
}
