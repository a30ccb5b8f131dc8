//! Writing a directory: compiled parts become Secrets, shards first, then what lets agents read them, then the index
//! that names them. Unchanged content is not written. Input is what was compiled and what is known to be written;
//! output is what is written now.

use std::{collections::BTreeMap, fmt::Debug};

use backon::Retryable;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
    jiff::Timestamp,
};
use kube::{Api, Client, api::ObjectMeta, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{census::DirectoryTrouble, cluster, index::Compiled, metrics::Metrics, role};
use crate::{
    directory::{self, CONTENT, FormatError, ISSUED, Index},
    names::SystemName,
    operator::cluster::{
        is_terminating,
        ownership::{is_ours, taken},
    },
};

/// Type of the directory's Secrets: the watch for passwords leaves them out by it.
pub const SECRET_TYPE: &str = "mail.angiang.gov.vn/directory";
/// Writes at the same time.
const PARALLEL: usize = 8;

/// Why a directory was not issued. What was written until then stands in [`Issued`].
#[derive(thiserror::Error, Debug)]
pub enum IssueError {
    /// The API refused or did not answer.
    #[error("the directory of {0} cannot be written: {1}")]
    Api(SystemName, #[source] kube::Error),
    /// The content has no bytes.
    #[error("the directory of {0} cannot be encoded: {1}")]
    Format(SystemName, #[source] FormatError),
    /// Somebody else has the name.
    #[error("{0}")]
    NameTaken(String),
    /// A blocking thread ended early: the process is going down.
    #[error("the directory of {0} was not encoded")]
    Interrupted(SystemName),
}

impl IssueError {
    /// What is to be said of it, unless it passes by itself.
    #[must_use]
    pub fn trouble(&self) -> Option<DirectoryTrouble> {
        match self {
            Self::NameTaken(message) => Some(DirectoryTrouble::NameTaken(message.clone())),
            Self::Api(_, error) if cluster::transient(error) || is_terminating(error) => None,
            Self::Api(_, error) => Some(DirectoryTrouble::Refused(error.to_string())),
            Self::Format(..) | Self::Interrupted(_) => None,
        }
    }

    /// Whether the namespace is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        matches!(self, Self::Api(_, error) if is_terminating(error))
    }
}

/// What is known of a written Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    /// The number it was issued under.
    pub issued: u64,
}

/// What is known of a written directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// By name of the Secret. Parts of a former number of shards are among them until they are deleted.
    pub parts: BTreeMap<String, Part>,
    /// The number of shards that agents may read.
    pub role: Option<u32>,
    /// The key of tokens between gateways and stores; empty until it is made.
    pub token_key: String,
}

/// One issue.
pub struct Issue {
    /// For the API.
    pub client: Client,
    /// Counted in here.
    pub metrics: Metrics,
    /// Whose directory it is.
    pub system: SystemName,
    /// Its uid.
    pub uid: String,
    /// Its number is higher than this one.
    pub floor: u64,
    /// What to write.
    pub compiled: Compiled,
}

impl Issue {
    /// Writes what differs from `issued`, which then says what is written, and gives the number of the issue: no part
    /// written until now has a higher one.
    ///
    /// # Errors
    /// The first error; what was written before it stands in `issued`.
    pub async fn run(mut self, issued: &mut Issued) -> Result<u64, IssueError> {
        let highest = issued.parts.values().map(|part| part.issued).max().unwrap_or_default();
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let number = now.max(highest.max(self.floor).saturating_add(1));
        let shards = std::mem::take(&mut self.compiled.shards);
        let (count, system) = (self.compiled.count, self.system.clone());
        let encoded = tokio::task::spawn_blocking(move || {
            let encode = |(shard, content)| {
                Ok((system.directory_shard(count, shard), directory::encode_shard(&content)?))
            };
            shards.into_iter().map(encode).collect::<Result<Vec<_>, FormatError>>()
        });
        let encoded = encoded.await.map_err(|_| IssueError::Interrupted(self.system.clone()))?;
        let encoded = encoded.map_err(|error| IssueError::Format(self.system.clone(), error))?;
        if let Some(largest) = encoded.iter().map(|(_, bytes)| bytes.len()).max() {
            self.metrics.largest_shard.set(i64::try_from(largest).unwrap_or(i64::MAX));
        }
        let names = encoded.iter().map(|(name, _)| name.clone()).chain([self.system.directory()]);
        self.look(names.filter(|name| !issued.parts.contains_key(name)).collect(), issued.role.is_none())
            .await?;
        self.write(encoded, number, issued).await?;
        if issued.role != Some(count) {
            self.counted("role", role::apply(&self.client, &self.system, &self.uid, count).await)?;
            issued.role = Some(count);
        }
        let Compiled { domains, holders, limits, domain_limits, ldap, .. } =
            std::mem::take(&mut self.compiled);
        let token_key = issued.token_key.clone();
        let index = Index { shards: count, domains, holders, token_key, limits, domain_limits, ldap };
        let bytes = directory::encode_index(&index);
        let bytes = bytes.map_err(|error| IssueError::Format(self.system.clone(), error))?;
        self.write(vec![(self.system.directory(), bytes)], number, issued).await?;
        Ok(number)
    }

    /// Looks whose the objects are that were not written before: somebody else's are left alone.
    async fn look(&self, secrets: Vec<String>, role: bool) -> Result<(), IssueError> {
        for name in secrets {
            self.look_at::<Secret>(&name).await?;
        }
        if role {
            self.look_at::<Role>(&self.system.directory()).await?;
            self.look_at::<RoleBinding>(&self.system.directory()).await?;
        }
        Ok(())
    }

    async fn look_at<K>(&self, name: &str) -> Result<(), IssueError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.system.namespace);
        let attempt = || api.get_metadata_opt(name);
        let found = attempt.retry(cluster::some_tries()).when(cluster::transient).await;
        match found.map_err(|error| IssueError::Api(self.system.clone(), error))? {
            Some(found) if !is_ours(&found.metadata, &self.system, &self.uid) => {
                Err(IssueError::NameTaken(taken(&K::kind(&()), name, &self.system)))
            }
            _ => Ok(()),
        }
    }

    /// Writes the parts whose content is not written already.
    async fn write(
        &self,
        parts: Vec<(String, Vec<u8>)>,
        number: u64,
        issued: &mut Issued,
    ) -> Result<(), IssueError> {
        let changed: Vec<_> = parts
            .into_iter()
            .map(|(name, bytes)| (name, digest(&bytes), bytes))
            .filter(|(name, digest, _)| issued.parts.get(name).is_none_or(|part| part.digest != *digest))
            .collect();
        let mut writes = stream::iter(changed)
            .map(|(name, digest, bytes)| async move {
                let secret = self.secret(&name, bytes, number);
                let written = cluster::apply(&self.client, &self.system.namespace, &name, &secret).await;
                self.counted("directory", written)?;
                Ok::<_, IssueError>((name, Part { digest, issued: number }))
            })
            .buffer_unordered(PARALLEL);
        while let Some((name, part)) = writes.try_next().await? {
            self.metrics.issues.inc();
            issued.parts.insert(name, part);
        }
        Ok(())
    }

    fn counted(&self, kind: &'static str, result: Result<(), kube::Error>) -> Result<(), IssueError> {
        self.metrics.wrote(kind, if result.is_ok() { "ok" } else { "failed" });
        result.map_err(|error| IssueError::Api(self.system.clone(), error))
    }

    fn secret(&self, name: &str, bytes: Vec<u8>, number: u64) -> Secret {
        let data = [(CONTENT, bytes), (ISSUED, number.to_string().into_bytes())];
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.system.namespace.clone()),
                labels: Some(self.system.labels()),
                owner_references: Some(vec![cluster::owner("MailSystem", &self.system.name, &self.uid)]),
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect()),
            ..Secret::default()
        }
    }
}

/// SHA-256 of the content of a part.
#[must_use]
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().unwrap_or_default()
}
