//! What this store's agent answers: to gateways who it is, to the other store's agent what it asks.
//!
//! ```text
//!  GET  /role      anybody      what this store says of its role
//!  POST /beat      the other    "this is what I am", answered alike
//!  POST /vote      the other    a request for this store's vote
//!  POST /told      the other    "you have everything of my epoch"
//!  POST /ask       the other    "make way for me"
//!  POST /return/…  the other    what it has alone: see `store::back`
//! ```

use std::{io, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    beat::{Beat, Told, VoteAnswer, VoteRequest},
    clock,
    peer::PeerKey,
    shared::{Shared, Turn},
};
use crate::{
    failover::{Activity, Ballot, Epoch, EpochError, vote},
    role::Report,
};

/// What the answers rest on.
#[derive(Clone)]
struct Context {
    shared: Shared,
    key: PeerKey,
}

/// All routes.
pub fn routes(shared: Shared, key: PeerKey) -> Router {
    Router::new()
        .route("/role", get(role))
        .route("/beat", post(beat))
        .route("/vote", post(ballot))
        .route("/told", post(told))
        .route("/ask", post(ask))
        .with_state(Context { shared, key })
}

/// How long ago the other store answered the gateway, as that says in `other=<milliseconds>`.
fn other(query: &str) -> Option<Duration> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == "other")?.1.parse().ok().map(Duration::from_millis)
}

async fn role(State(context): State<Context>, RawQuery(query): RawQuery) -> Json<Report> {
    let now = clock::now();
    let mut memory = context.shared.memory();
    memory.probed = Some(now);
    if let Some(ago) = query.as_deref().and_then(other) {
        // One gateway that cannot reach the other store does not undo the word of one that can.
        let known = memory.peer.probed.map(|(ago, at)| ago.saturating_add(now.saturating_sub(at)));
        memory.peer.probed = Some((known.map_or(ago, |known| known.min(ago)), now));
    }
    drop(memory);
    Json(context.shared.report())
}

/// Reads a signed request, and signs what `answer` makes of it.
async fn signed<Q: DeserializeOwned, A: Serialize>(
    (context, path): (&Context, &str),
    (headers, body): (&HeaderMap, &Bytes),
    answer: impl AsyncFnOnce(&Shared, Q) -> Option<A>,
) -> Response {
    let Some((bytes, mac)) = context.key.accept(path, headers, body) else { return PeerKey::refuse() };
    let Ok(request) = serde_json::from_slice(bytes) else { return PeerKey::refuse() };
    let Some(answer) = answer(&context.shared, request).await else { return PeerKey::refuse() };
    match serde_json::to_vec(&answer) {
        Ok(body) => context.key.answer(&mac, body),
        Err(_) => PeerKey::refuse(),
    }
}

async fn beat(State(context): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = async |shared: &Shared, beat: Beat| {
        if shared.memory().heard(beat, clock::now(), false) {
            shared.wake();
        }
        Some(shared.beat())
    };
    signed((&context, "/beat"), (&headers, &body), answer).await
}

async fn ballot(State(context): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = async |shared: &Shared, request: VoteRequest| Some(give_vote(shared, request).await);
    signed((&context, "/vote"), (&headers, &body), answer).await
}

async fn give_vote(shared: &Shared, request: VoteRequest) -> VoteAnswer {
    let refused = |why: &dyn std::fmt::Display| VoteAnswer { granted: false, why: why.to_string() };
    let ballot = || -> Result<Ballot, EpochError> {
        let (candidate, epoch) = (request.candidate.standing()?, Epoch::from_number(request.epoch)?);
        Ok(Ballot { candidate, epoch, stale: request.stale })
    };
    let ballot = match ballot() {
        Ok(ballot) => ballot,
        Err(error) => return refused(&error),
    };
    // Nothing may change between the decision and its being on the disk.
    let turn = shared.turn().await;
    let disk = match vote(&shared.view(), &ballot, shared.timings()) {
        Ok(disk) => disk,
        Err(refusal) => return refused(&refusal),
    };
    let record = super::volume::Record { disk, ..turn.record() };
    if let Err(error) = turn.write(record).await {
        return refused(&format!("the vote cannot be written: {error}"));
    }
    let mut memory = shared.memory();
    memory.peer.silent_from = clock::now();
    drop(memory);
    shared.wake();
    tracing::info!(epoch = ballot.epoch.number(), "the other store has this one's vote");
    VoteAnswer { granted: true, why: String::new() }
}

async fn told(State(context): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = async |shared: &Shared, told: Told| believe(shared, told).await.ok();
    signed((&context, "/told"), (&headers, &body), answer).await
}

/// The primary says that this replica has everything of its epoch.
async fn believe(shared: &Shared, told: Told) -> io::Result<()> {
    let epoch = Epoch::from_number(told.epoch).map_err(io::Error::other)?;
    let turn: Turn = shared.turn().await;
    let record = turn.record();
    let follows = {
        let memory = shared.memory();
        told.run == shared.run()
            && memory.activity == Activity::Stopped
            && memory.ready == Some(epoch)
            && record.disk.promise <= epoch
    };
    if !follows {
        return Err(io::Error::other("this store does not follow that epoch"));
    }
    let disk = record.disk.followed(epoch);
    turn.write(super::volume::Record { disk, in_sync_at: clock::unix(), stale: None }).await?;
    let mut memory = shared.memory();
    // A promise in between would have had to wait for the turn.
    memory.told = (memory.record.disk.epoch == epoch && memory.ready == Some(epoch)).then_some(epoch);
    drop(memory);
    shared.wake();
    Ok(())
}

async fn ask(State(context): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = async |shared: &Shared, (): ()| {
        shared.memory().asked = true;
        shared.wake();
        Some(())
    };
    signed((&context, "/ask"), (&headers, &body), answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_says_how_long_ago_the_other_store_answered() {
        assert_eq!(other("other=1500"), Some(Duration::from_millis(1500)));
        assert_eq!(other("a=b&other=0"), Some(Duration::ZERO));
        assert_eq!((other(""), other("other=-1"), other("other")), (None, None, None));
    }
}
