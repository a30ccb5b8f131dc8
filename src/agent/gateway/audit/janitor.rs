//! The janitor: deletes of this gateway's own journal what is settled and older than the retention. Nothing else deletes.

use std::time::Duration;

use tokio::time::sleep;

use super::{Audit, Destination};
use crate::journal::{
    Name,
    completion::FOLDER,
    retention::Known,
    storage::{Storage, StorageError},
    writer::now,
};

/// How often it looks.
const EVERY: Duration = Duration::from_hours(1);
/// Files on a page.
const PAGE: usize = 1000;
/// What was compared longer ago (in milliseconds) is not trusted.
const FRESH: u64 = 10 * 60 * 1000;
const DAY: u64 = 24 * 60 * 60 * 1000;

impl Audit {
    /// Cleans for ever; without a retention nothing is deleted.
    pub(super) async fn clean(&self) {
        let Some((destination, days)) =
            self.settings.destination.as_ref().and_then(|it| Some((it, it.retention?)))
        else {
            return;
        };
        loop {
            sleep(EVERY).await;
            if let Some(known) = self.settled(days)
                && let Err(error) = self.sweep(destination, known).await
            {
                tracing::warn!(%error, "what is settled cannot be deleted");
            }
        }
    }

    /// What is known; nothing while that is not enough to delete anything.
    fn settled(&self, days: u32) -> Option<Known> {
        let now = now();
        self.with(|state| {
            let fresh = state.checked.is_some_and(|at| at + FRESH > now);
            let figures = state.ledger.figures();
            if !fresh || state.forgotten != Some(false) || figures.overflow {
                return None;
            }
            let waiting = state.waiting.iter().map(|record| record.id.millis());
            let oldest_open = waiting.chain(figures.oldest_open).min();
            Some(Known { now, retention: u64::from(days) * DAY, since: state.since, oldest_open })
        })
    }

    /// Deletes what may go now.
    ///
    /// # Errors
    /// Object storage did not list or delete.
    pub async fn sweep(&self, destination: &Destination, known: Known) -> Result<(), StorageError> {
        let completions = destination.storage.within(FOLDER);
        // Segments first: as long as they are there, so is what became of their messages.
        let segments = self.delete(&destination.storage, |written| known.segment(written)).await?;
        let completions = self.delete(&completions, |written| known.completions(written)).await?;
        if segments + completions > 0 {
            tracing::info!(segments, completions, "settled parts of the journal were deleted");
        }
        Ok(())
    }

    async fn delete(&self, storage: &Storage, may_go: impl Fn(u64) -> bool) -> Result<u64, StorageError> {
        let own = format!("{}.", self.settings.pod);
        let (mut after, mut deleted) = (Name::new(&own, 1), 0);
        loop {
            let page = storage.list(after.as_ref(), PAGE).await?;
            let mine = page.iter().take_while(|(name, _)| name.gateway().starts_with(&own));
            let mut last = None;
            for (name, written) in mine {
                let written = u64::try_from(*written).unwrap_or_default().saturating_mul(1000);
                if may_go(written) {
                    storage.delete(name).await?;
                    deleted += 1;
                }
                last = Some(name.clone());
            }
            match last {
                Some(last) if page.len() == PAGE => after = Some(last),
                _ => return Ok(deleted),
            }
        }
    }
}
