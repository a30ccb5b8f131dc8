//! Brings mail back: the manifest says what a snapshot has, the store what a mailbox lacks, and only that is got out of the
//! repository and added.
//!
//! ```text
//!  snapshot ─manifest─▶ select (pure) ─┐
//!  store ────have─────────────────────┴▶ rounds (pure) ─restic─▶ files ─head─▶ store: append
//! ```
//!
//! What the store still keeps of a message that was deleted is taken there, and not out of the repository. Filters by header
//! need the messages themselves. Everything may be done again from the beginning: what came back by then is passed over.

mod bring;
mod head;
mod manifests;
mod near;
mod rounds;
mod select;
mod send;
mod stores;
mod tally;

use self::{bring::Bringing, stores::Stores};
use super::context::Context;
use crate::{
    agent::store::{PeerKey, read_key},
    job::{Failed, RestoreDone, RestoreWork},
};

/// The file with the key of the stores.
const PEER_KEY: &str = "peer-key";

/// Brings mail back.
pub(super) async fn run(work: RestoreWork, context: &Context) -> RestoreDone {
    let file = context.folders.login.join(PEER_KEY);
    match read_key(&file) {
        Ok(key) => {
            let shards = work.stores.clone();
            let stores = Stores::new(PeerKey::new(&key), shards, context.cancel.clone());
            Bringing::new(work, context, stores).run().await
        }
        Err(error) => {
            let message = format!("{}: {error}", file.display());
            RestoreDone { failure: Some(failed("KeyMissing", message)), ..RestoreDone::default() }
        }
    }
}

fn failed(reason: &str, message: impl Into<String>) -> Failed {
    Failed { reason: reason.to_owned(), message: message.into() }
}
