//! What the operator asks an agent: `GET /status`.

use axum::{Json, Router, routing::get};
use serde::Serialize;

use crate::agent::directory::Replica;

/// What an agent says of itself.
#[derive(Serialize, Debug)]
struct Status {
    /// The Secrets of the directory from which daemons are answered, each with its issue number.
    directory: std::collections::BTreeMap<String, u64>,
}

/// The route `/status`.
pub fn routes(replica: Replica) -> Router {
    Router::new().route("/status", get(async move || Json(Status { directory: replica.issued() })))
}
