//! Letters to the owners of mailboxes that are nearly full, or full.
//!
//! ```text
//!  usage ─▶ threshold ─▶ book (disk) ─▶ letter ─▶ post ─SMTP 10026─▶ gateways ─▶ … ─▶ door ─IGNOREQUOTA─▶ Cyrus
//!  directory ─quota─┘
//! ```
//!
//! What mailboxes hold and may hold comes in; letters go out, as any mail does. A letter is noted on the disk before it goes,
//! so that a restart neither forgets it nor writes another. Only a store that serves sends; one that follows notes what the
//! other has sent. Cyrus takes nothing into a full mailbox: the door has it take this letter, and nothing else.

mod book;
mod letter;
mod post;
mod round;
#[cfg(test)]
mod tests;
mod threshold;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use self::{
    book::{Book, save},
    post::Post,
};
use super::{
    metrics::{Metrics, Warned},
    role::Service,
    usage::Usage,
};
use crate::{
    agent::{directory::Replica, resolver::Resolver, settings::StoreSettings},
    names::ports,
};

/// Between two looks at what mailboxes hold.
const EVERY: Duration = Duration::from_secs(20);
/// After so long a letter that was put off, or all while no gateway can be reached, is tried again.
const PUT_OFF: Duration = Duration::from_mins(5);
/// The file, in the folder that outlives the pod.
const FILE: &str = "quota-warnings.json";

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Warnings(Arc<Shared>);

struct Shared {
    file: PathBuf,
    book: Mutex<Book>,
    post: Post,
    metrics: Metrics,
    /// When letters may be tried again that were put off.
    put_off: Mutex<HashMap<String, Instant>>,
}

impl Warnings {
    /// Those of a store, as they stand on its disk.
    #[must_use]
    pub fn open(settings: &StoreSettings, metrics: Metrics) -> Self {
        let post = Post {
            host: settings.gateway_host.clone(),
            port: ports::STORE_SMTP,
            login_file: settings.gateway_login_file.clone(),
            name: settings.common.mail_hostname.clone(),
            resolver: Resolver::default(),
        };
        Self::with(settings.data_dir.join(FILE), post, metrics)
    }

    fn with(file: PathBuf, post: Post, metrics: Metrics) -> Self {
        let book = Book::load(&file).unwrap_or_else(|error| {
            tracing::warn!(%error, "who was told that a mailbox is full cannot be read; some may be told again");
            Book::default()
        });
        let (book, put_off) = (Mutex::new(book), Mutex::default());
        Self(Arc::new(Shared { file, book, post, metrics, put_off }))
    }

    /// Looks and sends for ever; sends while `service` is open, always if there is none.
    pub async fn run(self, usage: Usage, replica: Replica, service: Option<watch::Receiver<Service>>) {
        let serves = || service.as_ref().is_none_or(|service| service.borrow().epoch().is_some());
        let (mut pause, mut unnoted) = (Duration::ZERO, false);
        loop {
            sleep(EVERY.max(pause)).await;
            pause = Duration::ZERO;
            if !replica.loaded() {
                continue;
            }
            let (due, changed) = self.look(&usage, &replica, serves(), now());
            unnoted |= changed;
            if unnoted && let Err(error) = self.note().await {
                tracing::warn!(%error, "letters to owners of full mailboxes cannot be noted, and are not sent");
                continue;
            }
            unnoted = false;
            if let Err(error) = self.send(due, serves).await {
                tracing::warn!(%error, "letters to owners of full mailboxes wait for a gateway");
                pause = PUT_OFF;
            }
        }
    }

    /// The letter that is to come into this owner's mailbox though it is full, by its Message-ID.
    #[must_use]
    pub fn awaited(&self, owner: &str, address: &str) -> Option<String> {
        let book = self.book();
        let id = book.get(owner)?.awaited()?;
        Some(letter::message_id(id, address))
    }

    /// That letter has come.
    pub fn arrived(&self, owner: &str) {
        // It stands on the disk with the next note; until then it might come once more.
        self.book().change(owner, threshold::Record::arrived);
    }

    /// Writes to the disk what is known.
    async fn note(&self) -> io::Result<()> {
        let (file, content) = (self.0.file.clone(), self.book().encode()?);
        spawn_blocking(move || save(&file, &content)).await.map_err(io::Error::other)?
    }

    fn count(&self, fate: &'static str) {
        self.0.metrics.quota_warnings.get_or_create(&Warned { fate }).inc();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.0.book)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
