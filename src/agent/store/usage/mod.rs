//! What mailboxes hold: used bytes, messages, unread ones, the last delivery. Cyrus' own files come in, pages of what
//! changed go out to the operator (`/usage?since=`).
//!
//! Nobody asks Cyrus: a round looks at the time of each folder's index and reads those that changed, however many
//! mailboxes there are. Nothing is written, nothing is kept over a restart: the files tell it again.

mod folder;
mod walk;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::sleep};

use self::walk::{Folders, Found, Total};
use super::provision::Provisioner;
use crate::agent::pages::{Changes, Wanted, epoch};

/// Between rounds, at least.
const EVERY: Duration = Duration::from_secs(20);
/// A round that took long is followed by so many times as much rest: looking at folders takes a twentieth of a core at most.
const REST: u32 = 19;

/// A mailbox on a page. Times are seconds of Unix time; what is absent is none.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    /// Its address.
    pub address: String,
    /// The uid of its owner, as the store has recorded it.
    pub owner: String,
    /// Bytes of its messages.
    pub used: u64,
    /// Its messages, in all folders.
    pub messages: u32,
    /// Those that its owner has not read, in all folders but Junk, Trash, Drafts and Sent.
    pub unseen: u32,
    /// When the oldest of these came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unseen: Option<u32>,
    /// When the last message came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received: Option<u32>,
}

/// Some of what changed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Names the agent's process. Cursors of another one are of no use: begin at 0.
    pub epoch: String,
    /// The cursor for the next page.
    pub next: u64,
    /// Whether there is more behind `next` already.
    pub more: bool,
    /// The mailboxes, the oldest change first.
    pub mailboxes: Vec<Mailbox>,
}

/// What mailboxes hold. Clones share it.
#[derive(Clone)]
pub struct Usage(Arc<Shared>);

struct Shared {
    epoch: String,
    changes: Mutex<Changes<Held>>,
}

/// What is told of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    owner: Option<Box<str>>,
    total: Total,
}

impl Default for Usage {
    fn default() -> Self {
        Self(Arc::new(Shared { epoch: epoch(), changes: Mutex::default() }))
    }
}

impl Usage {
    /// Looks at the spool for ever. `provisioner` knows whose a mailbox is.
    pub async fn run(self, spool: &'static Path, provisioner: Provisioner) {
        let mut folders = Folders::default();
        loop {
            let began = Instant::now();
            let round = spawn_blocking(move || {
                let found = folders.round(spool, now());
                (folders, found)
            });
            // Only a panic ends it early; what was known is read anew then.
            let (kept, found) =
                round.await.unwrap_or_else(|error| (Folders::default(), Err(std::io::Error::other(error))));
            folders = kept;
            match found {
                Ok(found) => {
                    if let Some(trouble) = &found.trouble {
                        tracing::debug!(
                            folders = found.unread,
                            trouble,
                            "some folders are counted as they were"
                        );
                    }
                    self.take(found, |address| provisioner.owner(address));
                }
                Err(error) => tracing::warn!(%error, "the folders of the spool cannot be looked at"),
            }
            sleep(EVERY.max(began.elapsed() * REST)).await;
        }
    }

    /// Takes what a round found. Owners may change without their folders.
    fn take(&self, found: Found, owner: impl Fn(&str) -> Option<Box<str>>) {
        let mut changes = self.lock();
        for (address, total) in found.totals {
            match total {
                Some(total) => changes.set(&address, Held { owner: owner(&address), total }),
                None => changes.remove(&address),
            }
        }
        let other = |(address, held): (&Arc<str>, &Held)| {
            let owner = owner(address);
            (owner != held.owner).then(|| (address.clone(), Held { owner, ..held.clone() }))
        };
        let moved: Vec<_> = changes.iter().filter_map(other).collect();
        for (address, held) in moved {
            changes.set(&address, held);
        }
    }

    /// What changed; nothing of mailboxes whose owner is not recorded.
    fn page(&self, wanted: Wanted) -> Page {
        let changes = self.lock();
        let (found, next, more) = changes.since(wanted);
        let time = |at: u32| (at > 0).then_some(at);
        let told = found.into_iter().filter_map(|(address, Held { owner, total })| {
            Some(Mailbox {
                address: address.to_string(),
                owner: owner.as_deref()?.to_owned(),
                used: total.used,
                messages: total.messages,
                unseen: total.unseen,
                oldest_unseen: time(total.oldest_unseen),
                last_received: time(total.received),
            })
        });
        Page { epoch: self.0.epoch.clone(), next, more, mailboxes: told.collect() }
    }

    /// One that has found these mailboxes: address, recorded owner, bytes.
    #[cfg(test)]
    pub(super) fn that_found(mailboxes: &[(&str, Option<&str>, u64)]) -> Self {
        let usage = Self::default();
        for (address, owner, used) in mailboxes {
            let (owner, total) = (owner.map(Box::from), Total { used: *used, ..Total::default() });
            usage.lock().set(&Arc::from(*address), Held { owner, total });
        }
        usage
    }

    /// Shows of each mailbox its address, the uid of its owner if that is recorded, and the bytes that it holds.
    pub fn each(&self, mut show: impl FnMut(&str, Option<&str>, u64)) {
        for (address, held) in self.lock().iter() {
            show(address, held.owner.as_deref(), held.total.used);
        }
    }

    /// The route `/usage`.
    pub fn routes(&self) -> Router {
        let page = async |State(usage): State<Self>, RawQuery(query): RawQuery| {
            Json(usage.page(Wanted::of(query.as_deref())))
        };
        Router::new().route("/usage", get(page)).with_state(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Changes<Held>> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted = Wanted { since: 0, limit: 9 };

    fn found(address: &str, total: Option<Total>) -> Found {
        Found { totals: [(address.into(), total)].into(), ..Found::default() }
    }

    #[test]
    fn a_mailbox_is_told_once_its_owner_is_recorded_and_again_when_that_is_another() {
        let (usage, total) = (Usage::default(), Total { used: 7, messages: 1, ..Total::default() });
        usage.take(found("an@x.vn", Some(total)), |_| None);
        let first = usage.page(ALL);
        assert!(first.mailboxes.is_empty() && !first.more);
        usage.take(Found::default(), |_| Some("u1".into()));
        let second = usage.page(Wanted { since: first.next, ..ALL });
        assert_eq!((second.mailboxes[0].owner.as_str(), second.mailboxes[0].used), ("u1", 7));
        assert_eq!((second.mailboxes[0].oldest_unseen, second.mailboxes[0].last_received), (None, None));
        usage.take(Found::default(), |_| Some("u1".into()));
        assert_eq!(usage.page(Wanted { since: second.next, ..ALL }).next, second.next, "nothing changed");
        usage.take(Found::default(), |_| Some("u2".into()));
        assert_eq!(usage.page(Wanted { since: second.next, ..ALL }).mailboxes[0].owner, "u2");
        usage.take(found("an@x.vn", None), |_| None);
        assert!(usage.page(ALL).mailboxes.is_empty());
    }
}
