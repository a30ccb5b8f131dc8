//! When who did log in: the last time by protocol, and from which sources; and when who sent last.
//!
//! Log-ins come in; pages of what changed go out to the operator (`/logins?since=`), and a file keeps all of it over
//! restarts. Sources are kept as macs under a key of this agent, so that the file tells nobody where people live. It
//! must not cost a write for each log-in: the file is written every few minutes, and within a minute a protocol's last
//! time does not change.

mod accounts;
mod disk;
mod http;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use tokio_util::sync::CancellationToken;

pub use accounts::{Account, Login, Page};

use self::accounts::{Accounts, Note};
use crate::{
    agent::directory::{Found, Replica},
    api::Protocol,
};

/// How often the file is written, if something changed: so much is forgotten when the node dies.
const SAVE_EVERY: Duration = Duration::from_mins(5);

/// The last log-ins. Clones share them.
#[derive(Clone)]
pub struct Logins(Arc<Shared>);

struct Shared {
    accounts: Mutex<Accounts>,
    /// Without a key, for want of random numbers, no source is known.
    key: Option<hmac::Key>,
    /// The key as it stands in the file.
    secret: String,
    file: PathBuf,
}

impl Logins {
    /// What the file `logins` in the folder `data` has; nothing if there is none or it cannot be read.
    #[must_use]
    pub fn open(data: &std::path::Path) -> Self {
        let file = data.join("logins");
        let (secret, accounts) = disk::load(&file, now());
        let key = (!secret.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        Self(Arc::new(Shared { accounts: Mutex::new(accounts), key, secret, file }))
    }

    /// Notes a log-in to the mailbox `found`, with the app password `app` if it was one, from `source`.
    pub fn record(&self, found: &Found, protocol: Protocol, app: Option<&str>, source: Option<IpAddr>) {
        let source = source.and_then(|source| self.mac(&found.address, source));
        self.note(found, Note::Login { protocol, app, source });
    }

    /// Notes that a message of the mailbox `found` was accepted.
    pub fn sent(&self, found: &Found) {
        self.note(found, Note::Sent);
    }

    fn note(&self, found: &Found, note: Note) {
        self.lock().record(&found.address, &found.entry.uid, note, now());
    }

    /// Whether the mailbox was logged in to from `source` within the last weeks.
    #[must_use]
    pub fn knows(&self, address: &str, source: IpAddr) -> bool {
        self.mac(address, source).is_some_and(|source| self.lock().knows(address, source, now()))
    }

    /// Whether the mailbox was ever logged in to, as far as is known here.
    #[must_use]
    pub fn has(&self, address: &str) -> bool {
        self.lock().has(address)
    }

    /// What changed after the cursor `since`, at most `limit` mailboxes, the oldest change first.
    #[must_use]
    pub fn since(&self, since: u64, limit: usize) -> Page {
        self.lock().since(since, limit)
    }

    /// The route `/logins`.
    pub fn routes(&self) -> axum::Router {
        http::routes(self.clone())
    }

    /// Keeps the file until `stop`, and writes it once more then. Mailboxes that `replica` no longer has are forgotten.
    pub async fn keep(self, replica: Replica, stop: CancellationToken) {
        loop {
            let end = stop.run_until_cancelled(tokio::time::sleep(SAVE_EVERY)).await.is_none();
            let (logins, replica) = (self.clone(), replica.clone());
            let saved = tokio::task::spawn_blocking(move || logins.save(&replica)).await;
            if let Ok(Err(error)) = saved {
                tracing::warn!(%error, "the last log-ins cannot be kept on the disk");
            }
            if end {
                return;
            }
        }
    }

    /// Writes the file if something changed.
    fn save(&self, replica: &Replica) -> std::io::Result<()> {
        let content = {
            let mut accounts = self.lock();
            if replica.loaded() {
                accounts.retain(|address, owner| {
                    let found = replica.find(address);
                    found.is_some_and(|found| owner.is_empty() || found.entry.uid == *owner)
                });
            }
            if !accounts.take_dirty() {
                return Ok(());
            }
            disk::encode(&self.0.secret, &accounts)?
        };
        let written = disk::save(&self.0.file, &content);
        if written.is_err() {
            self.lock().dirty();
        }
        written
    }

    fn mac(&self, address: &str, source: IpAddr) -> Option<u64> {
        let mut context = hmac::Context::with_key(self.0.key.as_ref()?);
        context.update(format!("{address} {source}").as_bytes());
        context.sign().as_ref().first_chunk().copied().map(u64::from_be_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds of Unix time, until 2106.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::directory::testing;

    #[test]
    fn log_ins_and_known_sources_outlive_the_process_and_vanished_mailboxes_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let (home, elsewhere) = (IpAddr::from([203, 0, 113, 7]), IpAddr::from([203, 0, 113, 8]));
        let logins = Logins::open(folder.path());
        let replica = testing::replica();
        let an = replica.find("an@x.vn").unwrap();
        logins.record(&an, Protocol::Imap, None, Some(home));
        let gone = Found { address: "gone@x.vn".into(), ..an.clone() };
        logins.record(&gone, Protocol::Pop3, None, Some(home));
        logins.sent(&an);
        logins.save(&replica).unwrap();

        let again = Logins::open(folder.path());
        assert!(again.knows("an@x.vn", home) && !again.knows("an@x.vn", elsewhere));
        assert!(!again.knows("binh@x.vn", home));
        let page = again.since(0, 10);
        let names: Vec<_> = page.logins.iter().map(|login| &*login.address).collect();
        assert_eq!((names, page.more), (vec!["an@x.vn"], false));
        assert!(
            page.logins[0].account.last(Protocol::Imap).is_some() && page.logins[0].account.sent.is_some()
        );
        assert_eq!(page.began, logins.since(0, 1).began);
        assert_ne!(page.epoch, logins.since(0, 10).epoch, "a reader begins anew after a restart");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("logins"), b"what?").unwrap();
        let logins = Logins::open(folder.path());
        let replica = testing::replica();
        logins.record(&replica.find("an@x.vn").unwrap(), Protocol::Submission, None, None);
        logins.save(&replica).unwrap();
        assert_eq!(Logins::open(folder.path()).since(0, 10).logins.len(), 1);
    }
}
