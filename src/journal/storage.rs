//! Where segments go: object storage that speaks S3. Bytes under names go in; what is wrong comes out in one word that
//! an administrator knows from the server's documentation, and a sentence.
//!
//! Nothing is retried here: whoever waits for a message to be durable decides how long.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    Certificate, ClientOptions, CredentialProvider, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential},
    path::Path,
};

use super::Name;

/// Keys of the Secret with the credentials, which are the names of its files.
pub mod keys {
    /// Who writes.
    pub const ID: &str = "accessKeyId";
    /// What proves it.
    pub const SECRET: &str = "secretAccessKey";
    /// A session's token, where the server wants one.
    pub const TOKEN: &str = "sessionToken";
    /// The authority that signed the server's certificate, in PEM; the system's authorities count as well.
    pub const CA: &str = "ca.crt";
}

/// No connection takes longer.
const CONNECT: Duration = Duration::from_secs(3);
/// Segments are seldom larger, in bytes.
const SEGMENT: usize = 64 << 20;
/// A request may take so long, and longer by [`FOR_EACH_MIB`].
const REQUEST: Duration = Duration::from_secs(10);
const FOR_EACH_MIB: Duration = Duration::from_secs(1);

/// Where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// `https://host:port`; AWS if absent.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket. It is never made.
    pub bucket: String,
    /// What all names begin with, without slashes at its ends; may be empty.
    pub prefix: String,
}

/// A request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct StorageError {
    /// S3's error code (`NoSuchBucket`, `SignatureDoesNotMatch`), or `Timeout`, `Unreachable`, `Unusable`.
    pub reason: String,
    /// In a sentence without its full stop.
    pub message: String,
}

/// A bucket, or a part of one. Clones share connections.
#[derive(Clone, Debug)]
pub struct Storage {
    location: Arc<Location>,
    folder: Arc<PathBuf>,
    client: Arc<Mutex<Option<Made>>>,
}

/// A client, and the authority that it was made with.
#[derive(Debug)]
struct Made {
    client: Arc<AmazonS3>,
    ca: Vec<u8>,
}

impl Storage {
    /// Storage at `location`. Credentials are read from the files in `folder` (see [`keys`]) for each request, so that new
    /// ones count at once.
    #[must_use]
    pub fn new(location: Location, folder: PathBuf) -> Self {
        Self { location: Arc::new(location), folder: Arc::new(folder), client: Arc::default() }
    }

    /// The part of it below `folder`.
    #[must_use]
    pub fn within(&self, folder: &str) -> Self {
        let prefix = format!("{}/{folder}", self.location.prefix);
        let location =
            Location { prefix: prefix.trim_start_matches('/').to_owned(), ..(*self.location).clone() };
        Self {
            location: Arc::new(location),
            folder: Arc::clone(&self.folder),
            client: Arc::clone(&self.client),
        }
    }

    fn client(&self) -> Result<Arc<AmazonS3>, StorageError> {
        let ca = match std::fs::read(self.folder.join(keys::CA)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| unusable(&format!("{}: {error}", keys::CA)))?,
        };
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = held.as_ref().filter(|made| made.ca == ca) {
            return Ok(Arc::clone(&made.client));
        }
        let client = Arc::new(self.make(&ca)?);
        *held = Some(Made { client: Arc::clone(&client), ca });
        Ok(client)
    }

    fn make(&self, ca: &[u8]) -> Result<AmazonS3, StorageError> {
        let location = &self.location;
        let mut options = ClientOptions::new().with_connect_timeout(CONNECT).with_timeout_disabled();
        if !ca.is_empty() {
            let certificates = Certificate::from_pem_bundle(ca)
                .map_err(|error| unusable(&format!("{}: {error}", keys::CA)))?;
            options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
        }
        let plain = location.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options.with_allow_http(plain))
            .with_credentials(Arc::new(Files(self.folder.to_path_buf())))
            .with_region(&location.region)
            .with_bucket_name(&location.bucket)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map_err(|error| unusable(&error.to_string()))
    }

    /// Puts a segment under its name, unless there is one already: no name is ever used twice, so that is the same one,
    /// written by an attempt whose answer was lost.
    ///
    /// # Errors
    /// It is not certain that the segment is there.
    pub async fn put(&self, name: &Name, content: &[Bytes]) -> Result<(), StorageError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let size: usize = content.iter().map(Bytes::len).sum();
        let payload: PutPayload = content.iter().cloned().collect();
        let (client, path) = (self.client()?, self.path(&name.to_string()));
        match within(size, client.put_opts(&path, payload, options)).await {
            Ok(_) | Err(Failure::Answered(object_store::Error::AlreadyExists { .. })) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// A page of segments whose names come after `after`, each with the time when it was written (Unix seconds); by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn list(&self, after: Option<&Name>, limit: usize) -> Result<Vec<(Name, i64)>, StorageError> {
        let (client, prefix) = (self.client()?, Path::from(self.location.prefix.as_str()));
        // The server gives names in order; one without a name is left out.
        let offset = after.map_or_else(|| prefix.clone(), |name| self.path(&name.to_string()));
        let named = client.list_with_offset(Some(&prefix), &offset).try_filter_map(async |object| {
            let parts: Vec<_> = object.location.prefix_match(&prefix).into_iter().flatten().collect();
            let name: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
            Ok(Name::parse(&name.join("/")).map(|name| (name, object.last_modified.timestamp())))
        });
        within(0, named.take(limit).try_collect()).await.map_err(StorageError::from)
    }

    /// Bytes of all objects below the prefix, whatever they are.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn size(&self) -> Result<u64, StorageError> {
        let (client, prefix) = (self.client()?, Path::from(self.location.prefix.as_str()));
        let (mut objects, mut sum) = (client.list(Some(&prefix)), 0);
        // One request is for many; each has its time.
        while let Some(object) = within(0, objects.try_next()).await? {
            sum += object.size;
        }
        Ok(sum)
    }

    /// What a segment holds.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub async fn get(&self, name: &Name) -> Result<Bytes, StorageError> {
        let (client, path) = (self.client()?, self.path(&name.to_string()));
        Ok(within(SEGMENT, async { client.get(&path).await?.bytes().await }).await?)
    }

    /// Deletes a segment; one that is not there is deleted.
    ///
    /// # Errors
    /// It is not certain that it is gone.
    pub async fn delete(&self, name: &Name) -> Result<(), StorageError> {
        let (client, path) = (self.client()?, self.path(&name.to_string()));
        match within(0, client.delete(&path)).await {
            Ok(()) | Err(Failure::Answered(object_store::Error::NotFound { .. })) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Writes a few bytes over and over, to see whether writing works.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self, gateway: &str) -> Result<(), StorageError> {
        let (client, path) = (self.client()?, self.path(&format!("check/{gateway}")));
        within(0, client.put(&path, PutPayload::from_static(b"written to see whether it can be\n"))).await?;
        Ok(())
    }

    fn path(&self, name: &str) -> Path {
        let prefix = Path::from(self.location.prefix.as_str());
        name.split('/').fold(prefix, Path::join)
    }
}

enum Failure {
    Answered(object_store::Error),
    Silent,
}

async fn within<T>(
    size: usize,
    request: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, Failure> {
    let limit = REQUEST + FOR_EACH_MIB * u32::try_from(size >> 20).unwrap_or(u32::MAX >> 8);
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(Failure::Answered),
        Err(_) => Err(Failure::Silent),
    }
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent => {
                Self { reason: "Timeout".to_owned(), message: "the server did not answer in time".to_owned() }
            }
            Failure::Answered(error) => explain(&error),
        }
    }
}

fn unusable(message: &str) -> StorageError {
    StorageError { reason: "Unusable".to_owned(), message: one_line(message) }
}

/// The error code is in the answer's XML, which the client keeps as text; without an answer the cause tells.
fn explain(error: &object_store::Error) -> StorageError {
    let causes: Vec<String> =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    let code = causes.iter().find_map(|text| between(text, "<Code>", "</Code>"));
    let told = causes.iter().find_map(|text| between(text, "<Message>", "</Message>"));
    let last = causes.last().cloned().unwrap_or_default();
    let reason = match (code, error) {
        (Some(code), _) if code.chars().all(|c| c.is_ascii_alphanumeric()) => code,
        (_, object_store::Error::NotFound { .. }) => "NotFound".to_owned(),
        (_, object_store::Error::PermissionDenied { .. }) => "AccessDenied".to_owned(),
        (_, object_store::Error::Unauthenticated { .. }) => "Unauthenticated".to_owned(),
        _ => "Unreachable".to_owned(),
    };
    StorageError { reason, message: one_line(&told.unwrap_or(last)) }
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0.to_owned())
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect::<String>().trim_end_matches('.').to_owned()
}

/// Credentials in files, as Kubernetes mounts a Secret.
#[derive(Debug)]
struct Files(PathBuf);

#[async_trait]
impl CredentialProvider for Files {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let read = async |name: &str| {
            tokio::fs::read_to_string(self.0.join(name)).await.map(|it| it.trim().to_owned())
        };
        let missing = |name: &str, error: io::Error| object_store::Error::Generic {
            store: "S3",
            source: format!("the credentials' Secret has no usable key {name}: {error}").into(),
        };
        Ok(Arc::new(AwsCredential {
            key_id: read(keys::ID).await.map_err(|error| missing(keys::ID, error))?,
            secret_key: read(keys::SECRET).await.map_err(|error| missing(keys::SECRET, error))?,
            token: read(keys::TOKEN).await.ok().filter(|token| !token.is_empty()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_code_is_the_reason_and_its_message_the_explanation() {
        let body = "<Error><Code>NoSuchBucket</Code><Message>The bucket\n does not exist.</Message></Error>";
        let error = object_store::Error::Generic { store: "S3", source: format!("404: {body}").into() };
        let told = explain(&error);
        assert_eq!(
            (told.reason.as_str(), told.message.as_str()),
            ("NoSuchBucket", "The bucket does not exist")
        );
    }

    #[test]
    fn without_an_answer_the_last_cause_is_told() {
        let error = object_store::Error::Generic { store: "S3", source: "connection refused".into() };
        let told = explain(&error);
        assert_eq!((told.reason.as_str(), told.message.as_str()), ("Unreachable", "connection refused"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable_and_missing_credentials_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            endpoint: Some("http://127.0.0.1:1".into()),
            region: "us-east-1".into(),
            bucket: "b".into(),
            prefix: "p".into(),
        };
        let storage = Storage::new(location, folder.path().to_owned());
        let error = storage.check("g").await.unwrap_err();
        assert!(error.message.contains("accessKeyId"), "{error}");
        for key in [keys::ID, keys::SECRET] {
            std::fs::write(folder.path().join(key), "x\n").unwrap();
        }
        assert_eq!(storage.check("g").await.unwrap_err().reason, "Unreachable");
    }
}
