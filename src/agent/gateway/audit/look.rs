//! Comparing the ledger with Postfix' queue.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Audit,
    queue::{self, Error, Queued},
};
use crate::journal::{JournalId, writer::now};

/// How often; more seldom if a list takes long.
const EVERY: Duration = Duration::from_secs(20);
/// Of the time, lists take at most one part in so many.
const SHARE: u32 = 5;
/// A message that was accepted less than so many milliseconds ago is not looked for: most are gone by then.
const YOUNG: u64 = 30_000;
/// The log is read to its end by then.
const READ_WITHIN: Duration = Duration::from_mins(1);
const WAIT: Duration = Duration::from_millis(100);

impl Audit {
    /// Compares for ever.
    pub(super) async fn look(&self) {
        loop {
            let begun = Instant::now();
            match self.compare().await {
                Ok(()) => self.with(|state| state.trouble = None),
                // The reason why it is behind may be known.
                Err(Look::Behind(_)) if self.with(|state| state.trouble.is_some()) => {}
                Err(error) => self.trouble(reason(&error), error.to_string()),
            }
            sleep(EVERY.max(begun.elapsed() * SHARE)).await;
        }
    }

    async fn compare(&self) -> Result<(), Look> {
        let asked = now();
        if !self.with(|state| state.ledger.wants_list(asked.saturating_sub(YOUNG))) {
            self.caught_up().await?;
            self.with(|state| state.checked = Some(asked));
            return Ok(());
        }
        let listed = {
            let _turn = self.listing.lock().await;
            let list = queue::ask(&self.settings.run_dir, asked).await?;
            queue::ids(list).await?
        };
        self.caught_up().await?;
        self.with(|state| {
            let mut records = Vec::new();
            state.ledger.compare(&listed, asked, &mut records);
            self.add(&mut state.waiting, records);
            (state.checked, state.changed) = (Some(asked), true);
        });
        Ok(())
    }

    /// Waits until the log was read up to now.
    async fn caught_up(&self) -> Result<(), Look> {
        // The reading that goes on may have begun before; the one after it has not.
        let wanted = self.with(|state| state.read) + 2;
        let reading = async {
            while self.with(|state| state.read) < wanted {
                sleep(WAIT).await;
            }
        };
        timeout(READ_WITHIN, reading).await.map_err(|_| Look::Behind(self.with(|state| state.behind)))
    }

    /// Where a message is in the queue now; nothing if it is not there.
    pub(super) async fn find(&self, id: JournalId) -> Result<(Vec<String>, Vec<Queued>), Error> {
        let wanted: HashSet<_> = self.with(|state| state.ledger.queue_ids(id)).into_iter().collect();
        if wanted.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let _turn = self.listing.lock().await;
        let list = queue::ask(&self.settings.run_dir, now()).await?;
        let found = queue::find(list, wanted.clone()).await?;
        Ok((wanted.into_iter().collect(), found))
    }
}

/// Why it was not compared.
#[derive(thiserror::Error, Debug)]
enum Look {
    #[error(transparent)]
    Queue(#[from] Error),
    #[error("Postfix' log was not read to its end in time: {0} bytes are left")]
    Behind(u64),
}

const fn reason(error: &Look) -> &'static str {
    match error {
        Look::Queue(_) => "QueueUnreadable",
        Look::Behind(_) => "Behind",
    }
}
