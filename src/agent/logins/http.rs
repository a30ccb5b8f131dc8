//! `/logins`: the last log-ins by pages, for the operator.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    routing::get,
};

use super::{Logins, Page};

/// Mailboxes on a page, unless fewer are asked for.
const LIMIT: usize = 1000;

pub(super) fn routes(logins: Logins) -> Router {
    Router::new().route("/logins", get(page)).with_state(logins)
}

/// Words that are no numbers count as absent: the first page is always a right answer.
async fn page(State(logins): State<Logins>, RawQuery(query): RawQuery) -> Json<Page> {
    let query = query.unwrap_or_default();
    let number = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<u64>().ok())
    };
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT);
    Json(logins.since(number("since").unwrap_or_default(), limit.clamp(1, LIMIT)))
}
