//! What is told of the audit over HTTP.

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::{Audit, Queued};
use crate::journal::{
    JournalId,
    ledger::{Report, Unaccounted},
};

/// Most messages that are named.
const MOST: usize = 1000;

/// What `GET /audit` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The figures.
    pub report: Report,
    /// What is unaccounted for, oldest first, at most 1000.
    pub unaccounted: Vec<Unaccounted>,
}

/// What `GET /audit/ID` tells of a message: nothing is known here of one that has come to its end, or that another gateway
/// accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    /// Under which queue ids it is open.
    pub queue_ids: Vec<String>,
    /// Where in the queue it is now.
    pub queued: Vec<Queued>,
}

impl Audit {
    /// `/audit` and `/audit/{id}`.
    pub fn routes(&self) -> Router {
        let (all, one) = (self.clone(), self.clone());
        let all = async move || {
            let mut unaccounted = all.with(|state| state.ledger.unaccounted());
            unaccounted.truncate(MOST);
            Json(Told { report: all.report(), unaccounted })
        };
        let one = async move |Path(id): Path<String>| one.place(&id).await;
        Router::new().route("/audit", get(all)).route("/audit/{id}", get(one))
    }

    async fn place(&self, id: &str) -> Result<Json<Place>, Response> {
        let id = JournalId::parse(id.as_bytes());
        let id =
            id.ok_or_else(|| (StatusCode::NOT_FOUND, "this is no id of the journal\n").into_response())?;
        match self.find(id).await {
            Ok((queue_ids, queued)) => Ok(Json(Place { queue_ids, queued })),
            Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()),
        }
    }
}
