//! What a MailBackup amounts to once it is checked. Values only.

use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::Place;
use crate::{
    api::backup::{ReclaimPolicy, VerifyMode},
    backup::{
        retention::Keep,
        schedule::{Policy, Schedule},
    },
    images::Images,
    job::Selected,
    names::SystemName,
    operator::{
        desired::backup::{Data, Of},
        system::validated::Volume,
    },
};

/// A checked MailBackup.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Its name.
    pub name: String,
    /// Makes it the owner of an object.
    pub owner: OwnerReference,
    /// The mail system, in the same namespace.
    pub system: SystemName,
    /// Where the repositories are.
    pub place: Place,
    /// The Secret with the password.
    pub encryption: String,
    /// When; once if absent.
    pub schedule: Option<Schedule>,
    /// The time zone.
    pub zone: TimeZone,
    /// Whether it is suspended, and how late a run may begin.
    pub policy: Policy,
    /// Which mailboxes; all if absent.
    pub mailboxes: Option<Selected>,
    /// Which snapshots are kept.
    pub keep: Keep,
    /// What deleting a snapshot's object does.
    pub reclaim: ReclaimPolicy,
    /// How backups are proven.
    pub verify: Verify,
    /// What is backed up; `None` while the MailSystem is not there.
    pub store: Option<Store>,
    /// What pods run.
    pub images: Images,
}

/// How backups are proven.
#[derive(Clone, Debug)]
pub struct Verify {
    /// By what.
    pub mode: VerifyMode,
    /// When; after each successful run if absent.
    pub schedule: Option<Schedule>,
    /// How many of a hundred messages are read.
    pub sample: u32,
    /// The volume on which a restore is tried.
    pub scratch: Volume,
}

/// What is backed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// The volume of each shard that is backed up, by number; or why there is none now.
    pub shards: Vec<Result<Source, String>>,
}

/// A store's volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The pod.
    pub pod: String,
    /// Its volume.
    pub data: Data,
    /// How far it is behind the primary, in milliseconds; `None` if it is the primary's own.
    pub lag: Option<u64>,
}

impl Validated {
    /// What its Jobs have in common.
    #[must_use]
    pub fn of(&self) -> Of<'_> {
        Of {
            system: &self.system,
            backup: &self.name,
            owner: &self.owner,
            place: &self.place,
            encryption: &self.encryption,
            images: &self.images,
        }
    }

    /// How many shards there are, as far as that is known: where there is no system, objects that went along are in the first.
    #[must_use]
    pub fn shards(&self) -> u32 {
        self.store.as_ref().map_or(1, |store| u32::try_from(store.shards.len()).unwrap_or(1))
    }
}
