//! Proves a snapshot: all of it is restored into scratch storage, a Cyrus of its own serves it, every file is compared with the
//! manifest, and what Cyrus serves is read.
//!
//! ```text
//!  repository ──restic──▶ /scratch/restored ──Cyrus──▶ IMAP answers: the restore time
//!                           │ files: the digest of each message        │ served: folders, counts, a sample of the messages
//!                           └──────────────▶ findings ◀────────────────┘
//! ```
//!
//! Where the repository is damaged, what could be restored is compared all the same, so that it is known whose mail is
//! concerned; Cyrus is not started then. [`config`], [`sample`], [`compare`], [`findings`] and [`responses`] are pure.
//! It needs no root, and leaves nothing: neither a process nor a file.

mod compare;
mod config;
mod files;
mod findings;
mod parts;
mod responses;
mod sample;
mod scratch;
mod served;
mod server;
mod session;
#[cfg(test)]
mod testing;

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use self::{
    files::Compared,
    findings::{Findings, Kind},
    parts::Part,
    scratch::Scratch,
    served::Reader,
    server::Server,
};
use super::context::Context;
use crate::{
    backup::{
        manifest::{Entry, Head},
        restic::{self, Failure, Reason, Restore, SnapshotId},
    },
    job::{Counted, Progress, VerifyDone, VerifyWork},
};

/// Proves a snapshot.
pub async fn run(work: VerifyWork, context: &Context) -> VerifyDone {
    let began = Instant::now();
    let scratch = Scratch::new(&context.folders.scratch);
    let mut proof = Proof {
        work,
        context,
        scratch,
        findings: Findings::default(),
        counted: Counted::default(),
        restored: None,
    };
    if let Err(failure) = proof.prove().await {
        proof.findings.engine(failure);
    }
    proof.tell(Part::Emptying);
    if let Err(failure) = proof.empty().await {
        tracing::warn!(%failure, "the scratch volume cannot be emptied");
    }
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    VerifyDone {
        failed: proof.findings.verdict(),
        mailboxes: proof.findings.mailboxes().clone(),
        counted: proof.counted,
        restored: proof.restored.map(millis),
        took: millis(began.elapsed()),
    }
}

struct Proof<'a> {
    work: VerifyWork,
    context: &'a Context,
    scratch: Scratch,
    findings: Findings,
    counted: Counted,
    restored: Option<Duration>,
}

impl Proof<'_> {
    async fn prove(&mut self) -> Result<(), Failure> {
        let scratch = self.scratch.clone();
        blocking(move || scratch.prepare()).await?;
        let began = Instant::now();
        let whole = self.restore().await?;
        let server = if whole { self.start(began).await? } else { None };
        let proven = self.compare_and_read(server.as_ref()).await;
        if let Some(mut server) = server {
            // Else what could not be read is the sign of it.
            if let Some(status) = server.has_ended() {
                self.findings.add(Kind::Cyrus, None, format!("it ended while it was read: {status}"));
            }
            server.stop().await;
        }
        proven
    }

    /// Restores; false if the repository is damaged, so that something is lacking.
    async fn restore(&mut self) -> Result<bool, Failure> {
        let restic = self.context.restic(&self.work.repository);
        let id = SnapshotId::parse(&self.work.snapshot);
        let no_id = || Failure::new(Reason::SnapshotMissing, "a snapshot is named by its whole id");
        let restore = Restore {
            snapshot: id.ok_or_else(no_id)?,
            paths: Vec::new(),
            target: self.scratch.restored.clone(),
        };
        self.tell(Part::Restoring);
        let this = &*self;
        let mut told = |at: restic::Progress| this.restoring(at);
        match restic.restore(restore, &mut this.context.control(&mut told)).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.reason == Reason::RepositoryDamaged => {
                self.findings.engine(failure);
                Ok(false)
            }
            Err(Failure { reason: Reason::NoSpace, message }) => {
                let message = format!("the scratch volume is too small for the snapshot: {message}");
                Err(Failure::new(Reason::NoSpace, message))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn start(&mut self, began: Instant) -> Result<Option<Server>, Failure> {
        self.tell(Part::Starting);
        match self.unless_cancelled(Server::start(&self.scratch)).await? {
            Ok(server) => {
                self.restored = Some(began.elapsed());
                Ok(Some(server))
            }
            Err(why) => {
                self.findings.add(Kind::Cyrus, None, why);
                Ok(None)
            }
        }
    }

    async fn compare_and_read(&mut self, server: Option<&Server>) -> Result<(), Failure> {
        self.tell(Part::Comparing);
        let (scratch, context) = (self.scratch.clone(), self.context.clone());
        let compared = blocking(move || {
            files::compare(&scratch, |counted, all| {
                context.told.progress(Part::Comparing.progress(counted.messages, all, counted));
                !context.cancel.is_cancelled()
            })
        });
        let Compared { head, mailboxes, findings, counted } = compared.await?;
        self.findings.merge(findings);
        self.counted = counted;
        match (server, head) {
            (Some(server), Some(head)) => self.read(server, &head, &mailboxes).await,
            _ => Ok(()),
        }
    }

    async fn read(&mut self, server: &Server, head: &Head, mailboxes: &[Entry]) -> Result<(), Failure> {
        self.tell(Part::Reading);
        let reader = Reader { server, scratch: &self.scratch, head, work: &self.work };
        let (all, context) = (mailboxes.len() as u64, self.context);
        let told = |counted: &Counted| {
            let counted = Counted { messages: counted.read, ..*counted };
            context.told.progress(Part::Reading.progress(counted.mailboxes, all, &counted));
        };
        let came = self.unless_cancelled(reader.read(mailboxes, told)).await?;
        self.findings.merge(came.findings);
        self.counted.mailboxes = came.counted.mailboxes;
        self.counted.read = came.counted.read;
        Ok(())
    }

    /// Gives up what it does when it is asked to end.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let cancelled = || Failure::new(Reason::Cancelled, "it was asked to end");
        self.context.cancel.run_until_cancelled(work).await.ok_or_else(cancelled)
    }

    async fn empty(&self) -> Result<(), Failure> {
        let scratch = self.scratch.clone();
        blocking(move || scratch.empty()).await
    }

    fn tell(&self, part: Part) {
        self.context.told.progress(part.progress(0, 1, &self.counted));
    }

    fn restoring(&self, at: restic::Progress) {
        let progress = Part::Restoring.progress(at.bytes, at.total_bytes, &Counted::default());
        self.context.told.progress(Progress { bytes: at.bytes, ..progress });
    }
}

/// What is done on the volume.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let failure = |error: io::Error| {
        let reason = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::NoSpace,
            ErrorKind::Interrupted => Reason::Cancelled,
            _ => Reason::Failed,
        };
        Failure::new(reason, error.to_string())
    };
    let done = spawn_blocking(work).await;
    done.map_err(|error| Failure::new(Reason::Failed, error.to_string()))?.map_err(failure)
}
