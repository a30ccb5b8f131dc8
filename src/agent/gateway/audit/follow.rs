//! From lines of Postfix' log to the ledger, as they are written.

use std::{collections::VecDeque, io, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::{
    Audit, LOG, WAITING,
    tail::{Piece, Position, Tail},
};
use crate::{
    agent::gateway::daemon::Daemon,
    journal::{completion::Record, writer::now},
    wire::maillog,
};

/// How often the log is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is known is saved so often, and more seldom while much is open.
const SAVE: Duration = Duration::from_secs(10);
/// Open messages for which a second more passes between two savings.
const OPEN_FOR_A_SECOND: usize = 5000;

impl Audit {
    /// Follows the log for ever.
    pub(super) async fn follow(&self, tail: Tail) {
        let (mut tail, mut saved) = (Some(tail), Instant::now());
        loop {
            let done;
            (tail, done) = self.step(tail).await;
            let open = self.with(|state| state.ledger.len()) / OPEN_FOR_A_SECOND;
            if saved.elapsed() >= SAVE + Duration::from_secs(open as u64) {
                let own = self.clone();
                let _ = spawn_blocking(move || own.save()).await;
                saved = Instant::now();
            }
            if done {
                sleep(LOOK).await;
            }
        }
    }

    /// Reads one piece; whether there is nothing more for now.
    async fn step(&self, tail: Option<Tail>) -> (Option<Tail>, bool) {
        if self.with(|state| state.waiting.len() >= WAITING) {
            self.trouble("CompletionsWaiting", "object storage takes no completions".to_owned());
            return (tail, true);
        }
        let (folder, position) = (self.settings.data_dir.join(LOG), self.with(|state| state.position));
        let read = spawn_blocking(move || {
            let mut tail = tail.map_or_else(|| Tail::open(&folder, position), Ok)?;
            let piece = tail.read()?;
            let rotated = tail.rotate().unwrap_or_else(|error| {
                tracing::warn!(%error, "Postfix' log cannot be put aside");
                false
            });
            Ok::<_, io::Error>((piece, rotated, tail.behind(), tail))
        });
        match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok((piece, rotated, behind, tail)) => {
                if rotated {
                    Daemon::Postfix.reload(&self.settings.run_dir);
                }
                self.take(&piece, tail.position(), behind);
                (Some(tail), !piece.more)
            }
            // From where it was read to: nothing is lost.
            Err(error) => {
                self.trouble("LogUnreadable", format!("Postfix' log cannot be read: {error}"));
                (None, true)
            }
        }
    }

    fn take(&self, piece: &Piece, position: Position, behind: u64) {
        let now = now();
        self.with(|state| {
            let mut records = Vec::new();
            for event in piece.lines.split(|byte| *byte == b'\n').filter_map(maillog::parse) {
                state.ledger.see(&event, now, &mut records);
            }
            state.changed |= state.position != position;
            state.position = position;
            state.behind = behind;
            state.read += u64::from(piece.at_end);
            self.add(&mut state.waiting, records);
        });
    }

    /// Notes what became of messages; nobody is told without a journal.
    pub(super) fn add(&self, waiting: &mut VecDeque<Record>, records: Vec<Record>) {
        for record in &records {
            self.metrics.count(record.what.word());
        }
        if self.settings.destination.is_some() {
            waiting.extend(records);
        }
    }

    pub(super) fn trouble(&self, reason: &'static str, message: String) {
        let old = self.with(|state| state.trouble.as_ref().map(|(old, _)| *old));
        if old != Some(reason) {
            tracing::warn!(reason, message, "accepted mail cannot be accounted for at the moment");
        }
        self.with(|state| state.trouble = Some((reason, message)));
    }
}
