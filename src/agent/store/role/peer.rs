//! How the two agents of a shard reach each other: HTTP with a key that both have, a connection for each request.
//!
//! A request is signed with its path and body, the answer with the request's signature and its own body, by HMAC-SHA256.
//! What is not signed rightly is as if it had not come.

use std::{io, time::Duration};

use aws_lc_rs::hmac;
use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};

use crate::{agent::resolver::Resolver, names::ports};

/// Header with the signature.
const MAC: &str = "mac";
/// Largest answer: the list of a large mailbox's messages.
const LARGEST: usize = 512 << 20;

/// The key that the agents of a system's stores have.
#[derive(Clone)]
pub struct PeerKey(hmac::Key);

impl PeerKey {
    /// The key in this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.trim().as_bytes()))
    }

    fn sign(&self, context: &str, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(context.as_bytes());
        signing.update(b"\n");
        signing.update(body);
        signing.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    fn is_signed(&self, context: &str, body: &[u8], mac: &str) -> bool {
        let right = self.sign(context, body);
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), mac.as_bytes()).is_ok()
    }

    /// The body of a request to `path`, if it is signed rightly, and what its answer is signed with.
    #[must_use]
    pub fn accept<'a>(&self, path: &str, headers: &HeaderMap, body: &'a Bytes) -> Option<(&'a [u8], String)> {
        let mac = headers.get(MAC)?.to_str().ok()?;
        self.is_signed(path, body, mac).then(|| (body.as_ref(), mac.to_owned()))
    }

    /// A signed answer to the request with this signature.
    #[must_use]
    pub fn answer(&self, request: &str, body: Vec<u8>) -> Response {
        let mac = self.sign(request, &body);
        ([(MAC, mac)], body).into_response()
    }

    /// What a request gets that is not signed rightly.
    #[must_use]
    pub fn refuse() -> Response {
        StatusCode::FORBIDDEN.into_response()
    }
}

impl std::fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerKey(…)")
    }
}

/// The other store's agent. Clones share what is known of its address.
#[derive(Clone, Debug)]
pub struct PeerClient {
    host: String,
    port: u16,
    key: PeerKey,
    resolver: Resolver,
}

impl PeerClient {
    /// The agent at `host`.
    #[must_use]
    pub fn new(host: String, key: PeerKey) -> Self {
        Self { host, port: ports::ROLE, key, resolver: Resolver::default() }
    }

    /// The host name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends `request` in JSON and reads the answer; at most `within`.
    ///
    /// # Errors
    /// No signed answer in time, or one that is not understood.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        within: Duration,
    ) -> io::Result<T> {
        let body = serde_json::to_vec(request)?;
        Ok(serde_json::from_slice(&self.send(path, body.into(), within).await?)?)
    }

    /// Sends `body` and reads the answer; at most `within`.
    ///
    /// # Errors
    /// No signed answer in time.
    pub async fn send(&self, path: &str, body: Bytes, within: Duration) -> io::Result<Bytes> {
        timeout(within, self.exchange(path, body)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn exchange(&self, path: &str, body: Bytes) -> io::Result<Bytes> {
        let addresses = self.resolver.lookup(&self.host).await?;
        let address = addresses.first().ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect((*address, self.port)).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mac = self.key.sign(path, &body);
        let exchange = async {
            let request = Request::post(path).header("host", &self.host).header(MAC, &mac);
            let request = request.body(Full::new(body)).map_err(io::Error::other)?;
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(io::Error::other)?.to_bytes();
            drop(sender);
            Ok::<_, io::Error>((head, body))
        };
        let (answer, _) = tokio::join!(exchange, connection);
        let (head, body) = answer?;
        if head.status != StatusCode::OK {
            return Err(io::Error::other(format!("the other store answers {}", head.status)));
        }
        let signed = head.headers.get(MAC).and_then(|mac| mac.to_str().ok()).unwrap_or_default();
        if !self.key.is_signed(&mac, &body, signed) {
            return Err(io::Error::other("the answer is not the other store's"));
        }
        Ok(body)
    }

    /// The same at another port.
    #[must_use]
    pub fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }

    #[cfg(test)]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::post};

    async fn serve(key: PeerKey) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let echo = async move |headers: HeaderMap, body: Bytes| match key.accept("/echo", &headers, &body) {
            Some((body, mac)) => key.answer(&mac, body.to_vec()),
            None => PeerKey::refuse(),
        };
        let routes = Router::new().route("/echo", post(echo));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        port
    }

    #[tokio::test]
    async fn only_who_has_the_key_is_answered_and_believed() {
        let port = serve(PeerKey::new("right\n")).await;
        let client = |key| PeerClient::new("127.0.0.1".into(), PeerKey::new(key)).at(port);
        let within = Duration::from_secs(10);
        let answer: Vec<u32> = client("right").ask("/echo", &[7, 8], within).await.unwrap();
        assert_eq!(answer, [7, 8]);
        assert!(client("wrong").ask::<Vec<u32>>("/echo", &[7], within).await.is_err());
        let nobody = PeerClient::new("127.0.0.1".into(), PeerKey::new("right")).at(1);
        assert!(nobody.send("/echo", Bytes::new(), within).await.is_err());
    }

    #[test]
    fn a_signature_is_of_one_path_and_one_body() {
        let key = PeerKey::new("k");
        let mac = key.sign("/beat", b"{}");
        assert!(key.is_signed("/beat", b"{}", &mac));
        assert!(!key.is_signed("/vote", b"{}", &mac) && !key.is_signed("/beat", b"{ }", &mac));
        assert!(!key.is_signed("/beat", b"{}", "") && format!("{key:?}") == "PeerKey(…)");
    }
}
