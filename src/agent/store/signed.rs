//! Requests that are signed with the key of a system's stores, and answers for them: of another agent, or of a restore's Job.
//!
//! The first line of a request is JSON and names the epoch in which it is to be carried out; what follows is its own affair.
//! In another epoch nothing is done.

use std::{fs, io, path::Path, sync::Arc};

use axum::{body::Bytes, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::role::PeerKey;

/// Largest message with what goes before it. Cyrus takes larger ones from nobody but who logs in by himself.
pub const LARGEST: usize = 256 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<T> {
    /// It is done, and on the disk.
    Done(T),
    /// It is not, and why.
    Refused(String),
}

/// Who answers what is signed. Clones share it.
#[derive(Clone)]
pub struct Signed {
    key: PeerKey,
    /// The epoch in which this store serves now.
    serves: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

impl Signed {
    /// With this key, while this store serves.
    pub fn new(key: PeerKey, serves: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self { key, serves: Arc::new(serves) }
    }

    /// Reads a signed request, whose first line is JSON, and answers it if it is for the epoch that is served.
    pub async fn answer<Q: DeserializeOwned, A: Serialize>(
        &self,
        path: &str,
        (headers, body): (&HeaderMap, &Bytes),
        epoch: impl Fn(&Q) -> u64,
        work: impl AsyncFnOnce(Q, Bytes) -> io::Result<A>,
    ) -> Response {
        let Some((bytes, mac)) = self.key.accept(path, headers, body) else { return PeerKey::refuse() };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let Ok(request) = serde_json::from_slice(&bytes[..end]) else { return PeerKey::refuse() };
        let rest = body.slice((end + 1).min(body.len())..);
        let answer = if (self.serves)() == Some(epoch(&request)) {
            work(request, rest).await.map_or_else(|error| Answer::Refused(error.to_string()), Answer::Done)
        } else {
            Answer::Refused(format!("this store is not the primary of epoch {}", epoch(&request)))
        };
        serde_json::to_vec(&answer).map_or_else(|_| PeerKey::refuse(), |body| self.key.answer(&mac, body))
    }
}

/// The key in this file. An empty one would let everybody in.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn read_key(path: &Path) -> io::Result<String> {
    let key = fs::read_to_string(path)?.trim().to_owned();
    if key.is_empty() { Err(io::Error::other("there is no key in it")) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_key_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer-key");
        assert!(read_key(&path).is_err());
        fs::write(&path, " \n").unwrap();
        assert!(read_key(&path).is_err());
        fs::write(&path, "abc\n").unwrap();
        assert_eq!(read_key(&path).unwrap(), "abc");
    }
}
