//! Writing the journal: an entry goes in, and comes back as *kept* once it is durable.
//!
//! ```text
//!  keep ─▶ queue ─▶ batch ─▶ seal ─▶ land (a few at a time) ─▶ object storage ─▶ kept, in order
//!                                         └─ Preferred ─▶ backlog on the volume ─▶ kept; uploaded later
//! ```
//!
//! What arrives while segments are on their way shares the next one: no timer (measured: it only adds latency). Entries
//! are reported as kept in the order of their segments, so below a segment whose message was accepted none is missing.

pub mod backlog;
mod health;
mod line;

use std::{path::PathBuf, time::Duration};

use aws_lc_rs::rand;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use health::{Health, Report};

use super::{
    Entry, JournalId, Name,
    plain::{EncodeError, length},
    storage::Storage,
};
use backlog::Backlog;
use line::Line;

/// Entries that wait for a segment; each has an SMTP session that waits for it.
const QUEUE: usize = 2048;
/// An entry waits so long, and longer by [`FOR_EACH_MIB`].
const PATIENCE: Duration = Duration::from_secs(25);
const FOR_EACH_MIB: Duration = Duration::from_secs(2);

/// What happens to mail that object storage does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is not accepted.
    Required,
    /// It is kept on the gateway's volume until object storage takes it.
    Preferred,
}

/// Why an entry is not kept.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// Its envelope cannot be written down.
    #[error(transparent)]
    Envelope(#[from] EncodeError),
    /// Nothing took it in time.
    #[error("the journal did not take it in time")]
    Late,
    /// The journal ends, or could not make a segment.
    #[error("the journal does not take anything")]
    Closed,
}

/// What a writer needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod, which segments are named after.
    pub pod: String,
    /// What happens to mail that object storage does not take.
    pub durability: Durability,
    /// Whom segments are encrypted for; at least one.
    pub keys: Vec<age::x25519::Recipient>,
    /// Where the backlog is.
    pub backlog: PathBuf,
    /// The largest backlog in bytes.
    pub backlog_limit: u64,
}

/// The journal, for those who write. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    queue: mpsc::Sender<Waiting>,
    probe: Name,
    health: Health,
}

/// An entry, and who waits for it.
#[derive(Debug)]
struct Waiting {
    entry: Entry,
    kept: oneshot::Sender<()>,
}

impl Journal {
    /// A journal and its work, which ends with `stop`; what has not landed then is not kept.
    ///
    /// # Errors
    /// The backlog's folder cannot be read, or there are no random bytes.
    pub fn open(
        settings: Settings,
        storage: Storage,
        stop: CancellationToken,
    ) -> std::io::Result<(Self, impl Future<Output = ()> + Send + 'static)> {
        let series = series(&settings.pod, now())?;
        let probe = Name::new(&series, 1).ok_or(std::io::ErrorKind::InvalidInput)?;
        let backlog = Backlog::open(&settings.backlog, settings.backlog_limit)?;
        let health = Health::new(backlog.clone());
        let (queue, waiting) = mpsc::channel(QUEUE);
        let line = Line::new(settings, series, storage, backlog, health.clone());
        let work = async move {
            stop.run_until_cancelled(line.run(waiting)).await;
        };
        Ok((Self { queue, probe, health }, work))
    }

    /// Keeps an entry: when this returns, it is durable.
    ///
    /// # Errors
    /// It is not certain that it is; it may have been written all the same.
    pub async fn keep(&self, entry: Entry) -> Result<(), Unkept> {
        length(&self.probe, std::slice::from_ref(&entry))?;
        let size: usize = entry.message.iter().map(bytes::Bytes::len).sum();
        let patience = PATIENCE + FOR_EACH_MIB * u32::try_from(size >> 20).unwrap_or(u32::MAX >> 8);
        let (kept, is_kept) = oneshot::channel();
        let wait = async {
            self.queue.send(Waiting { entry, kept }).await.map_err(|_| Unkept::Closed)?;
            is_kept.await.map_err(|_| Unkept::Closed)
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(Err(Unkept::Late))
    }

    /// How it is.
    #[must_use]
    pub fn report(&self) -> Report {
        self.health.report()
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.health.register(registry);
    }
}

/// A new id, made now.
///
/// # Errors
/// There are no random bytes.
pub fn new_id() -> std::io::Result<JournalId> {
    Ok(JournalId::new(now(), random()?))
}

/// Unix time in milliseconds.
#[must_use]
pub fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// What the segments of one run are named after: no two runs share a name, so a number is never used twice, whatever
/// became of a volume or of a request whose answer was lost. Series of a pod sort by time.
///
/// # Errors
/// There are no random bytes.
pub fn series(pod: &str, millis: u64) -> std::io::Result<String> {
    let random: [u8; 4] = random()?;
    Ok(format!("{pod}.{millis:012x}{:08x}", u32::from_be_bytes(random)))
}

/// When the run of this pod's began that a series is named after (Unix milliseconds); `None` if it is another pod's.
#[must_use]
pub fn began(series: &str, pod: &str) -> Option<u64> {
    let stamp = series.strip_prefix(pod)?.strip_prefix('.')?;
    let (millis, random) = stamp.split_at_checked(12)?;
    let fits = random.len() == 8 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(millis, 16).ok().filter(|_| fits)
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random bytes are to be had"))?;
    Ok(bytes)
}
