//! The HTTP side of every process: `/healthz`, `/readyz`, `/metrics`, and routes of its own; and how one asks another.
//!
//! What the process knows of its readiness and its metrics comes in; answers go out. It must not decide anything:
//! whoever sets a reason is responsible for taking it away again.

use std::{collections::BTreeMap, io, sync::Arc};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// What keeps a process from being ready: a reason for each part of it that is not. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<BTreeMap<&'static str, String>>);

impl Readiness {
    /// A process all of whose `parts` are still starting.
    #[must_use]
    pub fn starting(parts: &[&'static str]) -> Self {
        Self(watch::Sender::new(parts.iter().map(|part| (*part, "starting".to_owned())).collect()))
    }

    /// Says why `part` is not ready.
    pub fn blocked(&self, part: &'static str, reason: impl Into<String>) {
        self.0.send_modify(|reasons| drop(reasons.insert(part, reason.into())));
    }

    /// Says that `part` is ready.
    pub fn ready(&self, part: &'static str) {
        self.0.send_if_modified(|reasons| reasons.remove(part).is_some());
    }

    /// The reasons by part; empty when the process is ready.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        self.0.borrow().clone()
    }

    /// Waits until every part is ready.
    pub async fn wait(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.0.subscribe().wait_for(BTreeMap::is_empty).await;
    }

    fn answer(&self) -> Response {
        let reasons = self.reasons();
        if reasons.is_empty() {
            return "ready\n".into_response();
        }
        let lines: Vec<_> = reasons.iter().map(|(part, reason)| format!("{part}: {reason}\n")).collect();
        (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
    }
}

/// Serves `listener` until `shutdown`, then finishes the requests that run. `extra` are routes of the process's own.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    extra: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let registry = Arc::new(registry);
    let routes = extra
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(async move || readiness.answer()))
        .route("/metrics", get(async move || exposition(&registry)));
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn exposition(registry: &Registry) -> Response {
    match metrics::encode(registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What `host` answers at `path`, at most `largest` bytes, over a connection of its own.
///
/// # Errors
/// The connection broke, or the answer is another than `200`, or too large. Callers limit the time.
pub async fn fetch(stream: TcpStream, host: &str, path: &str, largest: usize) -> io::Result<Bytes> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async {
        let request = Request::get(path).header("host", host).body(Empty::<Bytes>::new());
        let response =
            sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        if response.status() != StatusCode::OK {
            return Err(io::Error::other(format!("{host} answers {}", response.status())));
        }
        let body = Limited::new(response.into_body(), largest).collect().await.map_err(io::Error::other)?;
        drop(sender);
        Ok(body.to_bytes())
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // Ended: whether there was an answer is known to the exchange.
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_tells_its_reasons_and_shutdown_ends_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::starting(&["directory"]);
        let shutdown = CancellationToken::new();
        let extra = Router::new().route("/status", get(async || "own"));
        let server =
            tokio::spawn(serve(listener, readiness.clone(), metrics::registry(), extra, shutdown.clone()));

        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("directory: starting"), "{answer}");
        readiness.ready("directory");
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/status").await.ends_with("own"));
        let answer = ask(address, "/metrics").await;
        assert!(answer.contains("application/openmetrics-text") && answer.ends_with("# EOF\n"), "{answer}");

        shutdown.cancel();
        server.await.unwrap().unwrap();
    }
}
