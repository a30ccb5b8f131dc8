//! Bringing a message back from the journal: `POST /replay/ID` with its envelope and its bytes. The agent itself cannot read
//! the journal; whoever has the key does, and hands over one message at a time.
//!
//! A message goes through Postfix again, under its id, for the recipients that have no answer yet; aliases are resolved
//! here, so that one who has an answer is not reached by way of another address. Stores take no message twice. It is not
//! taken while it is in a queue, and not without a scan.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::{constant_time, hmac};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Audit,
    envelope::{EnvelopeError, parts, remaining},
    inject,
};
use crate::{
    agent::{
        directory::Replica,
        gateway::gate::{Gate, Unscanned},
        sockets::socketmap,
    },
    journal::{JournalId, completion::What, ledger::Progress, plain::hex, writer::now},
};

/// The header with the secret.
pub const SECRET: &str = "mail-replay";
/// Where Postfix takes it.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10027);
/// The largest body: the largest message (200Mi) and its envelope.
const LARGEST: usize = 256 << 20;
/// Postfix' log tells of an injected message by then.
const SEEN_WITHIN: Duration = Duration::from_mins(2);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is on its way to these.
    Queued {
        /// Postfix' name for it.
        queue_id: String,
        /// Recipients, after aliases.
        recipients: Vec<String>,
    },
    /// Every recipient has an answer already.
    Complete,
    /// It is in the queue.
    InQueue,
    /// This was found in it: it is not brought back.
    Malware(String),
}

/// The secret by which the agent knows who may hand over messages: derived from the installation's token, which it does not
/// show.
#[must_use]
pub fn secret(token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let mac = hmac::sign(&key, b"whoever may hand over messages from the journal");
    hex(mac.as_ref())
}

/// What it takes to bring messages back.
#[derive(Clone)]
pub struct Replay {
    audit: Audit,
    replica: Replica,
    gate: Gate,
    secret: Arc<str>,
    /// One at a time; what was handed over a moment ago may not be in the log yet.
    recent: Arc<Mutex<HashMap<JournalId, Instant>>>,
}

/// Why it was not brought back.
#[derive(thiserror::Error, Debug)]
enum Error {
    #[error("who asks is not known")]
    Stranger,
    #[error("this is no id of the journal")]
    Id,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Unscanned(#[from] Unscanned),
    #[error("Postfix does not take it: {0}")]
    Postfix(#[from] inject::Error),
}

impl Replay {
    /// Messages handed over by whoever knows the installation's token.
    #[must_use]
    pub fn new(audit: Audit, replica: Replica, gate: Gate, token: &str) -> Self {
        Self { audit, replica, gate, secret: secret(token).into(), recent: Arc::default() }
    }

    /// `POST /replay/{id}`, and `POST /past` with a [`Progress`]: how much from before the volume began was brought back.
    pub fn routes(&self) -> Router {
        let (one, past) = (self.clone(), self.clone());
        let one = async move |Path(id): Path<String>, headers: HeaderMap, body: Bytes| {
            one.take(&id, &headers, &body).await.map(Json).map_err(|error| refused(&error))
        };
        let past = async move |headers: HeaderMap, Json(progress): Json<Progress>| {
            past.known(&headers)
                .map(|()| past.audit.settle_the_past(progress))
                .map_err(|error| refused(&error))
        };
        Router::new()
            .route("/replay/{id}", post(one))
            .route("/past", post(past))
            .layer(DefaultBodyLimit::max(LARGEST))
    }

    fn known(&self, headers: &HeaderMap) -> Result<(), Error> {
        let given = headers.get(SECRET).map_or(&b""[..], |value| value.as_bytes());
        constant_time::verify_slices_are_equal(given, self.secret.as_bytes()).map_err(|_| Error::Stranger)
    }

    async fn take(&self, id: &str, headers: &HeaderMap, body: &Bytes) -> Result<Outcome, Error> {
        self.known(headers)?;
        let id = JournalId::parse(id.as_bytes()).ok_or(Error::Id)?;
        let (envelope, message) = parts(body)?;
        let mut recent = self.recent.lock().await;
        recent.retain(|_, at| at.elapsed() < SEEN_WITHIN);
        if recent.contains_key(&id) || self.audit.with(|state| state.ledger.is_present(id)) {
            return Ok(Outcome::InQueue);
        }
        let recipients = remaining(&envelope, |address| socketmap::expand(&self.replica, address))?;
        if recipients.is_empty() {
            self.audit.settle(id, What::Closed);
            return Ok(Outcome::Complete);
        }
        if let Some(found) = self.gate.look_again(std::slice::from_ref(&message)).await? {
            tracing::warn!(journal_id = %id, found, "a message of the journal has malware in it, and stays there");
            self.audit.settle(id, What::Deleted);
            return Ok(Outcome::Malware(found));
        }
        let queue_id = inject::inject(ADDRESS, id, &envelope.sender, &recipients, &message).await?;
        tracing::info!(journal_id = %id, queue_id, ?recipients, "a message was brought back from the journal");
        recent.insert(id, Instant::now());
        Ok(Outcome::Queued { queue_id, recipients })
    }
}

impl Audit {
    /// What is missing of this message has come to this end.
    fn settle(&self, id: JournalId, what: What) {
        self.with(|state| {
            let mut records = Vec::new();
            state.ledger.settle(id, what, now(), &mut records);
            self.add(&mut state.waiting, records);
            state.changed = true;
        });
    }
}

fn refused(error: &Error) -> Response {
    let status = match error {
        Error::Stranger => StatusCode::FORBIDDEN,
        Error::Id | Error::Envelope(EnvelopeError::Unreadable(_)) => StatusCode::BAD_REQUEST,
        Error::Envelope(_) | Error::Unscanned(_) | Error::Postfix(_) => StatusCode::CONFLICT,
    };
    (status, format!("{error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_the_token() {
        assert_eq!(secret("ab12").len(), 64);
        assert_ne!(secret("ab12"), secret("ab13"));
        assert_ne!(secret("ab12"), crate::store_login::password("ab12"));
    }
}
