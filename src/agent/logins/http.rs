//! `/logins`: the last log-ins by pages, for the operator.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    routing::get,
};

use super::{Logins, Page};
use crate::agent::pages::Wanted;

pub(super) fn routes(logins: Logins) -> Router {
    Router::new().route("/logins", get(page)).with_state(logins)
}

async fn page(State(logins): State<Logins>, RawQuery(query): RawQuery) -> Json<Page> {
    let Wanted { since, limit } = Wanted::of(query.as_deref());
    Json(logins.since(since, limit))
}
