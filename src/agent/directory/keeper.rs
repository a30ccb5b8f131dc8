//! Between Secrets and the replica: reads their content, offers it, and keeps on the disk what was taken.
//!
//! Secrets come in, as the API server or the disk has them; the [`Replica`] changes. It must not fail because of one of
//! them: a bad one is told and left, what is held stays.

use std::{collections::BTreeSet, io};

use k8s_openapi::api::core::v1::Secret;

use super::{Disk, Offer, Replica};
use crate::{
    directory::{CONTENT, FormatError, ISSUED, decode_index, decode_shard},
    names::SystemName,
};

/// A directory has not more shards than this: 100,000 mailboxes need a few dozen.
const MOST_SHARDS: u32 = 4096;

/// Names a Secret of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Index,
    Shard { count: u32, position: u32 },
}

impl Part {
    pub(super) fn secret(self, system: &SystemName) -> String {
        match self {
            Self::Index => system.directory(),
            Self::Shard { count, position } => system.directory_shard(count, position),
        }
    }
}

/// Why a Secret was left.
#[derive(thiserror::Error, Debug)]
enum KeepError {
    #[error("the Secret has no {CONTENT} or no {ISSUED}")]
    Missing,
    #[error("a directory of {0} shards")]
    Shards(u32),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("the directory cannot be kept on the disk: {0}")]
    Disk(#[from] io::Error),
}

pub(super) struct Keeper {
    system: SystemName,
    replica: Replica,
    disk: Disk,
    /// The newest index, until the directory it names is complete and it is kept on the disk.
    unsaved_index: Option<(u64, Vec<u8>)>,
}

impl Keeper {
    /// Loads what the disk has.
    pub(super) fn start(system: SystemName, replica: Replica, disk: Disk) -> Self {
        let mut keeper = Self { system, replica, disk, unsaved_index: None };
        keeper.load(Part::Index);
        for part in keeper.parts() {
            keeper.load(part);
        }
        keeper
    }

    /// The Secrets to follow.
    pub(super) fn parts(&self) -> BTreeSet<Part> {
        let counts = self.replica.shard_counts();
        let shards = counts
            .into_iter()
            .flat_map(|count| (0..count).map(move |position| Part::Shard { count, position }));
        shards.chain([Part::Index]).collect()
    }

    /// Takes a Secret as it is in the cluster; `None` if it is not there.
    pub(super) fn take(&mut self, part: Part, secret: Option<Secret>) {
        let name = part.secret(&self.system);
        let Some(secret) = secret else {
            tracing::warn!(secret = name, "not in the cluster; what is held stays");
            return;
        };
        let content = parse(secret).ok_or(KeepError::Missing);
        let outcome = content.and_then(|(issued, content)| {
            let offer = self.offer(part, issued, &content)?;
            if offer == Offer::Older {
                tracing::warn!(secret = name, issued, "refused: a newer one is held");
            } else if offer == Offer::Taken {
                self.save(part, issued, content)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            tracing::error!(secret = name, %error, "a part of the directory was left");
        }
    }

    fn load(&mut self, part: Part) {
        let name = part.secret(&self.system);
        let Some((issued, content)) = self.disk.load(&name) else { return };
        match self.offer(part, issued, &content) {
            Ok(_) => {}
            Err(error) => tracing::error!(secret = name, %error, "the disk's copy is of no use"),
        }
    }

    fn offer(&self, part: Part, issued: u64, content: &[u8]) -> Result<Offer, KeepError> {
        Ok(match part {
            Part::Index => {
                let index = decode_index(content)?;
                if !index.shards.is_power_of_two() || index.shards > MOST_SHARDS {
                    return Err(KeepError::Shards(index.shards));
                }
                self.replica.offer_index(issued, index)
            }
            Part::Shard { count, position } => {
                self.replica.offer_shard(count, position, issued, decode_shard(content)?)
            }
        })
    }

    /// Shards are kept as they come; the index only once its directory is complete, so that the disk's index always has
    /// all its shards beside it.
    fn save(&mut self, part: Part, issued: u64, content: Vec<u8>) -> Result<(), KeepError> {
        match part {
            Part::Index => self.unsaved_index = Some((issued, content)),
            Part::Shard { .. } => self.disk.save(&part.secret(&self.system), issued, &content)?,
        }
        let serving = self.replica.issued();
        let index = self.system.directory();
        if let Some((issued, content)) =
            self.unsaved_index.take_if(|(issued, _)| serving.get(&index) == Some(issued))
        {
            self.disk.save(&index, issued, &content)?;
            self.disk.retain(|name| serving.contains_key(name))?;
        }
        Ok(())
    }
}

fn parse(secret: Secret) -> Option<(u64, Vec<u8>)> {
    let mut data = secret.data?;
    let issued = String::from_utf8(data.remove(ISSUED)?.0).ok()?.trim().parse().ok()?;
    Some((issued, data.remove(CONTENT)?.0))
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
