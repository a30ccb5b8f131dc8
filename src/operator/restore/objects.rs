//! Objects that went along with a backup come back: what is not there is made, nothing is ever written over.
//!
//! ```text
//!  log of the Job ──key──▶ packed ──▶ allowed (pure) ──▶ namespaces that let them in ──▶ made, kind after kind ──▶ brought
//! ```
//!
//! It can be done again at any time, from the beginning: what is there by then is passed over. So an operator that was
//! away goes on where it was.

pub mod allowed;
pub mod brought;
mod key;
mod make;

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt, stream};
use kube::{Client, ResourceExt, core::DynamicObject};
use serde_json::Value;

use self::{
    allowed::{Allowed, Verdict},
    brought::Fate,
    make::{lets_in, make},
};
pub use self::{brought::Brought, key::recipient};
use crate::{
    api::MailRestore,
    job::{Failed, objects::gather},
    names::SystemName,
    operator::backup::inventory::{
        kind::Kind,
        pack::{Damaged, objects},
    },
};

/// So many objects are made at a time.
const AT_ONCE: usize = 16;
/// It is told how far it is after so many.
const BATCH: usize = 128;

/// Why objects did not come back. What came is there.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The Job has not said all.
    #[error("the Job has not said what the objects are")]
    NotSaid,
    /// What the Job was to encrypt for is gone.
    #[error("the key for which the Job encrypted the objects is gone")]
    NoKey,
    /// The Job failed.
    #[error("{}", .0.message)]
    Job(Failed),
    /// What it said are no objects.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The API server did not answer for some time.
    #[error("the objects cannot be made: {0}")]
    Api(#[from] kube::Error),
    /// A thread ended early.
    #[error("the objects cannot be read: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// In a word: the reason of a condition.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::NotSaid | Self::NoKey => "LogIncomplete",
            Self::Job(failed) => &failed.reason,
            Self::Damaged(_) => "ObjectsDamaged",
            Self::Api(_) | Self::Task(_) => "ObjectsUnavailable",
        }
    }

    /// Whether it may go better by itself.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Api(_) | Self::Task(_))
    }
}

/// Makes the objects of the system that are not there, from the whole log of the Job that printed them for
/// [`recipient`]. With `dryRun` the API server only says what it would do. `tell` is told how far it is.
///
/// # Errors
/// See [`Error`]. What is wrong with single objects is in what is returned.
pub async fn bring_back(
    client: &Client,
    restore: &MailRestore,
    log: &str,
    tell: impl Fn(&Brought),
) -> Result<Brought, Error> {
    let identity = key::identity(client, restore).await?.ok_or(Error::NoKey)?;
    let packed = gather(log, &identity).map_err(Error::Job)?.ok_or(Error::NotSaid)?;
    let system = SystemName::new(restore.namespace().unwrap_or_default(), &restore.spec.system.name);
    make_all(client, &system, packed, restore.spec.dry_run, tell).await
}

/// Makes the objects that were packed.
///
/// # Errors
/// As [`bring_back`].
pub async fn make_all(
    client: &Client,
    system: &SystemName,
    packed: Vec<u8>,
    dry_run: bool,
    tell: impl Fn(&Brought),
) -> Result<Brought, Error> {
    let packed: Arc<[u8]> = packed.into();
    let (read, name) = (packed.clone(), system.clone());
    let allowed = tokio::task::spawn_blocking(move || learn(name, &read)).await??;
    let mut bringing = Bringing {
        client,
        system,
        dry_run,
        lets_in: HashMap::from([(system.namespace.clone(), true)]),
        batch: Vec::new(),
        brought: Brought::nothing(system.clone()),
    };
    for object in objects(&packed).map_err(Damaged::from)? {
        match allowed.judge(&object?) {
            Verdict::Make(kind, object) => bringing.add(kind, object, &tell).await?,
            Verdict::Refuse(why) => bringing.brought.note(Fate::Failed(why)),
            Verdict::Record => {}
        }
    }
    bringing.make(&tell).await?;
    Ok(bringing.brought)
}

fn learn(system: SystemName, packed: &[u8]) -> Result<Allowed, Damaged> {
    let mut allowed = Allowed::new(system);
    for object in objects(packed)? {
        allowed.learn(&object?);
    }
    Ok(allowed)
}

struct Bringing<'a> {
    client: &'a Client,
    system: &'a SystemName,
    dry_run: bool,
    /// Which namespaces let the objects in.
    lets_in: HashMap<String, bool>,
    /// Those that are made next, all of one kind.
    batch: Vec<(Kind, DynamicObject)>,
    brought: Brought,
}

impl Bringing<'_> {
    async fn add(&mut self, kind: Kind, object: Value, tell: &impl Fn(&Brought)) -> Result<(), Error> {
        let name = format!("{} {}", kind.name(), object["metadata"]["name"].as_str().unwrap_or_default());
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let lets_in = if let Some(known) = self.lets_in.get(&namespace) {
            *known
        } else {
            let lets_in = lets_in(self.client, self.system, &namespace).await?;
            *self.lets_in.entry(namespace.clone()).or_insert(lets_in)
        };
        if !lets_in {
            self.brought.note(Fate::Waits(namespace));
            return Ok(());
        }
        // A kind is there before the next one begins: the operator makes a key that it does not find.
        if self.batch.len() >= BATCH || self.batch.first().is_some_and(|(first, _)| *first != kind) {
            self.make(tell).await?;
        }
        match serde_json::from_value(object) {
            Ok(object) => self.batch.push((kind, object)),
            Err(error) => self.brought.note(Fate::Failed(format!("{name}: {error}"))),
        }
        Ok(())
    }

    async fn make(&mut self, tell: &impl Fn(&Brought)) -> Result<(), Error> {
        let (client, system, dry_run) = (self.client, self.system, self.dry_run);
        let made = self.batch.drain(..).map(|(kind, object)| make(client, system, kind, object, dry_run));
        let mut made = stream::iter(made).buffer_unordered(AT_ONCE);
        while let Some(fate) = made.next().await {
            self.brought.note(fate?);
        }
        tell(&self.brought);
        Ok(())
    }
}
