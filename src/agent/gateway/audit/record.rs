//! Completions on their way to object storage, in batches. While it takes none, they wait.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use tokio::{task::spawn_blocking, time::sleep};

use super::{Audit, Destination};
use crate::journal::{
    Name,
    completion::{self, FOLDER, Record},
    storage::{Storage, StorageError},
    writer,
};

/// A batch is gathered so long.
const GATHER: Duration = Duration::from_secs(5);
/// And has at most so many records.
const MOST: usize = 5000;
/// The longest pause after object storage has failed.
const PAUSE: Duration = Duration::from_secs(30);

impl Audit {
    /// Writes completions for ever; without a journal there are none.
    pub(super) async fn record(&self) {
        let Some(destination) = &self.settings.destination else { return std::future::pending().await };
        let storage = destination.storage.within(FOLDER);
        // Names are never used twice: each run has its own.
        let mut number = 0;
        let series = loop {
            match writer::series(&self.settings.pod, writer::now()) {
                Ok(series) => break series,
                Err(error) => tracing::error!(%error, "completions cannot be named"),
            }
            sleep(PAUSE).await;
        };
        loop {
            sleep(GATHER).await;
            let batch: Vec<_> = self.with(|state| state.waiting.iter().take(MOST).cloned().collect());
            if batch.is_empty() {
                continue;
            }
            number += 1;
            let Some(name) = Name::new(&series, number) else { continue };
            self.put(&storage, destination, &name, &batch).await;
            self.with(|state| {
                state.waiting.drain(..batch.len());
                state.changed = true;
            });
        }
    }

    /// Puts one batch, however long that takes. The same bytes each time: an attempt whose answer was lost may have
    /// succeeded.
    async fn put(&self, storage: &Storage, destination: &Destination, name: &Name, batch: &[Record]) {
        let (sealed, keys, records) = (name.clone(), destination.keys.clone(), batch.to_vec());
        let content = match spawn_blocking(move || completion::seal(&sealed, &records, &keys)).await {
            Ok(Ok(content)) => Bytes::from(content),
            failed => {
                tracing::error!(?failed, "completions cannot be encrypted; they will have to be looked up");
                return;
            }
        };
        let mut pauses =
            ExponentialBuilder::default().with_max_delay(PAUSE).with_jitter().without_max_times().build();
        let mut told = false;
        while let Err(error) = storage.put(name, std::slice::from_ref(&content)).await {
            if !told {
                let StorageError { reason, message } = error;
                tracing::warn!(reason, message, "object storage takes no completions; they wait");
                told = true;
            }
            sleep(pauses.next().unwrap_or(PAUSE)).await;
        }
    }
}
