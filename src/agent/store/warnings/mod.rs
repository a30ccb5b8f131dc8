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
#[cfg(test)]
mod tests;
mod threshold;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use self::{
    book::{Book, save},
    letter::{Warning, sender, write},
    post::{Post, deliver},
    threshold::Level,
};
use super::{metrics::Metrics, metrics::Warned, role::Service, usage::Usage};
use crate::{
    agent::{directory::Replica, resolver::Resolver, settings::StoreSettings, smtp::Error},
    api::MailboxState,
    names::ports,
};

/// Between two looks at what mailboxes hold.
const EVERY: Duration = Duration::from_secs(20);
/// Most letters after one look: a system whose mailboxes are all full keeps its gateways for their mail.
const MOST: usize = 100;
/// So many letters go between two notes on the disk: an agent that dies sends them again.
const BETWEEN_NOTES: usize = 20;
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

/// A letter that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    owner: Box<str>,
    address: String,
    used: u64,
    quota: u64,
    id: String,
    level: Level,
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
        let mut pause = Duration::ZERO;
        loop {
            sleep(EVERY.max(pause)).await;
            pause = Duration::ZERO;
            if !replica.loaded() {
                continue;
            }
            let (due, changed) = self.look(&usage, &replica, serves(), now());
            if changed && let Err(error) = self.note().await {
                tracing::warn!(%error, "letters to owners of full mailboxes cannot be noted, and are not sent");
                continue;
            }
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

    /// Judges every mailbox. Gives the letters that this store has to send, and whether there is something to note.
    fn look(&self, usage: &Usage, replica: &Replica, serves: bool, now: i64) -> (Vec<Due>, bool) {
        let mut book = self.book();
        let (before, mut due, mut seen) = (book.clone(), Vec::new(), HashSet::new());
        usage.each(|address, owner, used| {
            let Some(found) = replica.find(address).filter(|found| found.address == address) else { return };
            let entry = &found.entry;
            // A letter to a mailbox that nobody can open, or that takes none, tells nobody.
            let open = entry.state == MailboxState::Active && entry.refusal.is_none() && entry.quota > 0;
            // A store that follows does not know whose mail it has.
            let theirs = owner.map_or(!serves, |owner| *owner == *entry.uid) && !entry.uid.is_empty();
            if !open || !theirs {
                return;
            }
            let record = book.judge(&entry.uid, (used, entry.quota), now, new_id);
            let Some(record) = record else { return };
            seen.insert(entry.uid.as_str().into());
            if !serves {
                return record.leave_to_the_other(now);
            }
            let (owner, address, quota) = (entry.uid.as_str().into(), address.to_owned(), entry.quota);
            due.extend(record.due().map(|letter| {
                let (id, level) = (letter.id.clone(), letter.level);
                Due { owner, address, used, quota, id, level }
            }));
        });
        book.prune(&seen, now);
        (due, *book != before)
    }

    /// Sends letters until all went, or no gateway is there.
    async fn send(&self, due: Vec<Due>, serves: impl Fn() -> bool) -> Result<(), Error> {
        let due = self.not_put_off(due);
        let mut session = None;
        for letters in due.chunks(BETWEEN_NOTES) {
            let sent = self.send_some(letters, &mut session, &serves).await;
            if let Err(error) = self.note().await {
                tracing::warn!(%error, "letters that went to owners of full mailboxes cannot be noted");
            }
            sent?;
        }
        if let Some(session) = session {
            // Nothing depends on it any more.
            let _ = session.quit().await;
        }
        Ok(())
    }

    async fn send_some(
        &self,
        letters: &[Due],
        session: &mut Option<crate::agent::smtp::Smtp>,
        serves: &impl Fn() -> bool,
    ) -> Result<(), Error> {
        for due in letters {
            if !serves() {
                return Ok(());
            }
            let open = match session.take() {
                Some(open) => session.insert(open),
                None => session.insert(self.0.post.open().await?),
            };
            let Due { owner, address, used, quota, id, level } = due;
            let warning = Warning { address, level: *level, used: *used, quota: *quota };
            let message = write(&warning, id, now());
            match deliver(open, &sender(address), address, &message).await {
                Ok(()) => {
                    tracing::info!(address, ?level, "the owner of a mailbox is told how full it is");
                    self.count("sent");
                    self.book().change(owner, |record| record.sent(now()));
                }
                Err(error @ (Error::Connection(_) | Error::Silent)) => return Err(error),
                Err(error) => {
                    *session = None;
                    tracing::warn!(address, %error, "the owner of a mailbox cannot be told how full it is");
                    self.refused(due, error.is_final());
                }
            }
        }
        Ok(())
    }

    /// What is refused for good is not tried again before the next threshold.
    fn refused(&self, due: &Due, for_good: bool) {
        if for_good {
            self.count("refused");
            return self.book().change(&due.owner, |record| record.sent(now()));
        }
        self.count("deferred");
        lock(&self.0.put_off).insert(due.id.clone(), Instant::now() + PUT_OFF);
    }

    fn not_put_off(&self, due: Vec<Due>) -> Vec<Due> {
        let mut put_off = lock(&self.0.put_off);
        put_off.retain(|_, until| *until > Instant::now());
        due.into_iter().filter(|due| !put_off.contains_key(&due.id)).take(MOST).collect()
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

/// Nobody can guess it: whoever names it gets mail into a full mailbox.
fn new_id() -> String {
    let mut random = [0; 16];
    // Without randomness a full mailbox' letter may be guessed, and still nothing else is lost.
    let _ = rand::fill(&mut random);
    format!("quota-{:032x}", u128::from_be_bytes(random))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
