//! When the directory got an address together with its password, seen by watching its Secrets.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use mail_operator::directory::{CONTENT, Entry, decode_shard};
use tokio_util::task::AbortOnDropHandle;

use crate::world::{World, eventually};

type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// What was seen since [`watch`].
pub(crate) struct Issues {
    seen: Seen,
    _watch: AbortOnDropHandle<()>,
}

/// Begins to watch.
pub(crate) fn watch(world: &World) -> Issues {
    let seen = Seen::default();
    let (api, into) = (world.api::<Secret>(), seen.clone());
    let watch = tokio::spawn(async move {
        let only = watcher::Config::default().fields("type=mail.angiang.gov.vn/directory");
        let mut secrets = pin!(watcher(api, only).default_backoff().applied_objects());
        while let Some(secret) = secrets.try_next().await.expect("a watch") {
            note(&secret, &into);
        }
    });
    Issues { seen, _watch: AbortOnDropHandle::new(watch) }
}

fn note(secret: &Secret, into: &Seen) {
    let now = Instant::now();
    let Some(content) = secret.data.as_ref().and_then(|data| data.get(CONTENT)) else { return };
    // The index is no shard.
    let Ok(shard) = decode_shard(&content.0) else { return };
    let mut seen = into.lock().unwrap();
    for (address, entry) in shard.entries {
        if matches!(entry, Entry::Mailbox(mailbox) if mailbox.credential.is_some()) {
            seen.entry(address).or_insert(now);
        }
    }
}

impl Issues {
    /// When the address was first seen with a password.
    pub(crate) async fn of(&self, address: &str) -> Instant {
        eventually(Duration::from_secs(30), "the directory has the address", async || {
            self.seen.lock().unwrap().get(address).copied().ok_or_else(|| address.to_owned())
        })
        .await
    }
}
