//! Whether the journal has messages of this gateway from before its volume began: then the volume that had the queue and the
//! ledger is gone, and what became of them is not known here.

use std::time::Duration;

use tokio::time::sleep;

use super::{Audit, Destination};
use crate::journal::{Name, ledger::Progress, storage::StorageError, writer::began};

/// Pause after object storage has not told.
const AGAIN: Duration = Duration::from_secs(30);

impl Audit {
    /// Finds out, if it is not known.
    pub(super) async fn remember_the_past(&self) {
        let Some(destination) = &self.settings.destination else { return };
        while self.with(|state| state.forgotten.is_none()) {
            match self.has_past(destination).await {
                Ok(past) => {
                    if past {
                        tracing::warn!(
                            "the journal has messages of this gateway from before its volume began"
                        );
                    }
                    self.with(|state| (state.forgotten, state.changed) = (Some(past), true));
                }
                Err(error) => {
                    tracing::debug!(%error, "it is not known whether the volume is the first");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn has_past(&self, destination: &Destination) -> Result<bool, StorageError> {
        let (pod, since) = (&self.settings.pod, self.with(|state| state.since));
        // Sorts before every series of the pod.
        let after = Name::new(&format!("{pod}."), 1);
        let first = destination.storage.list(after.as_ref(), 1).await?;
        let earlier = |name: &Name| began(name.gateway(), pod).is_some_and(|began| began < since);
        Ok(first.iter().any(|(name, _)| earlier(name)))
    }

    /// So much of what is from before was brought back; once that is all, it is accounted for.
    pub(super) fn settle_the_past(&self, progress: Progress) {
        self.with(|state| {
            let over = progress.done >= progress.total;
            state.brought_back = Some(progress).filter(|_| !over);
            if over {
                (state.forgotten, state.changed) = (Some(false), true);
            }
        });
    }
}
