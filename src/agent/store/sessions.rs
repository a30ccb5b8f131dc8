//! Ends the sessions of those who may not be in any more: their mailbox was suspended, retired, deleted or renamed, the
//! password that they came with was changed or taken away, or the mailbox is not to be used in this way any more.
//!
//! Cyrus' list of its processes comes in (`proc_path` of `imapd.conf`: one file for each, named by its id), a signal to
//! some of them goes out. A session that began rightly is compared with the directory at every change of it; one that is
//! being opened meanwhile is found a second later. Nobody else's session is touched.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{metrics::Metrics, password::ADMIN};
use crate::{
    agent::directory::Replica,
    api::{MailboxState, Protocol},
};

/// Where Cyrus lists its processes.
pub const PROCESSES: &str = "/run/cyrus/proc";
/// A log-in that was judged before the change has its session by then.
const AGAIN: Duration = Duration::from_secs(1);
/// Sessions are looked at this often without a change, so that it is known whose they are when they began.
const PERIOD: Duration = Duration::from_secs(10);
/// The programs that serve people.
const SERVED_BY: [&str; 4] = ["imapd", "pop3d", "timsieved", "httpd"];

/// A session of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    pid: i32,
    user: String,
    /// By which it may be forbidden; none for what is always allowed.
    protocol: Option<Protocol>,
}

/// A process of Cyrus is not listed as somebody's session for so long after its log-in, at most.
const UNLISTED: Duration = Duration::from_mins(1);

/// With which password each session was opened, by the process that serves it. Clones share it.
#[derive(Clone, Default)]
pub struct Opened(Arc<Mutex<HashMap<i32, Opening>>>);

struct Opening {
    user: String,
    tag: String,
    at: Instant,
}

impl Opened {
    /// The process `pid` serves `user` from now on, who showed the password of this tag.
    pub fn note(&self, pid: i32, user: &str, tag: &str) {
        let opening = Opening { user: user.to_owned(), tag: tag.to_owned(), at: Instant::now() };
        self.lock().insert(pid, opening);
    }

    /// Whether the password that the session was opened with is still one of the mailbox's, as far as it is known.
    fn is_current(&self, session: &Session, tags: impl FnOnce() -> Vec<String>) -> bool {
        let opened = self.lock();
        let Some(opening) = opened.get(&session.pid).filter(|opening| opening.user == session.user) else {
            return true;
        };
        tags().contains(&opening.tag)
    }

    /// Forgets the sessions that are over.
    fn keep(&self, sessions: &[Session]) {
        let pids: HashSet<_> = sessions.iter().map(|session| session.pid).collect();
        self.lock().retain(|pid, opening| pids.contains(pid) || opening.at.elapsed() < UNLISTED);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Opening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at sessions until it is dropped. Those of the users in `shut_out` end, whatever the directory says: they have a
/// folder open that they may not see any more.
pub async fn run(
    replica: Replica,
    shard: u32,
    opened: Opened,
    metrics: Metrics,
    mut shut_out: mpsc::UnboundedReceiver<String>,
) {
    let mut changed = replica.changed();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch { replica, shard, opened, owners: HashMap::new() };
    loop {
        let again = tokio::select! {
            _ = ticks.tick() => false,
            // The sender lives in the replica.
            _ = changed.changed() => true,
            Some(user) = shut_out.recv() => {
                end_all(&user, &metrics);
                continue;
            }
        };
        watch.look(&metrics);
        if again {
            sleep(AGAIN).await;
            watch.look(&metrics);
        }
    }
}

/// Ends the sessions of a user.
fn end_all(user: &str, metrics: &Metrics) {
    let theirs = sessions(Path::new(PROCESSES)).unwrap_or_default();
    for session in theirs.iter().filter(|session| session.user == user && end(session)) {
        metrics.sessions_ended.inc();
        tracing::info!(user = session.user, "a session is ended: a mailbox is not shared with it any more");
    }
}

/// What sessions are judged by.
struct Watch {
    replica: Replica,
    shard: u32,
    opened: Opened,
    /// Whose mail each session was opened for.
    owners: HashMap<(i32, String), String>,
}

impl Watch {
    fn look(&mut self, metrics: &Metrics) {
        match sessions(Path::new(PROCESSES)) {
            Ok(sessions) => {
                self.opened.keep(&sessions);
                for session in self.unwelcome(&sessions) {
                    if end(&session) {
                        metrics.sessions_ended.inc();
                        tracing::info!(
                            user = session.user,
                            "a session is ended: its mailbox is closed to it"
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Cyrus' processes cannot be listed"),
        }
    }

    /// Those among the sessions whose user may not be in.
    fn unwelcome(&mut self, sessions: &[Session]) -> Vec<Session> {
        if !self.replica.loaded() {
            return Vec::new();
        }
        let mut owners = HashMap::new();
        let mut to_end = Vec::new();
        for session in sessions.iter().filter(|session| session.user != ADMIN) {
            let found = self.replica.find(&session.user).filter(|found| found.address == session.user);
            let entry = found.map(|found| found.entry).filter(|entry| {
                entry.store == self.shard
                    && entry.state == MailboxState::Active
                    && entry.refusal.is_none()
                    && session.protocol.is_none_or(|protocol| entry.allows(protocol))
                    && self.opened.is_current(session, || self.replica.tags(&session.user, entry))
            });
            let key = (session.pid, session.user.clone());
            let began = self.owners.remove(&key);
            match entry {
                Some(entry) if began.as_ref().is_none_or(|owner| *owner == entry.uid) => {
                    owners.insert(key, entry.uid.clone());
                }
                _ => to_end.push(session.clone()),
            }
        }
        self.owners = owners;
        to_end
    }
}

/// The sessions that Cyrus lists: service, client, user, mailbox and command in a line, separated by tabs.
fn sessions(folder: &Path) -> io::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let pid = file.file_name().to_str().and_then(|name| name.parse().ok());
        // A process that has just ended has no file any more.
        let (Some(pid), Ok(line)) = (pid, fs::read_to_string(file.path())) else { continue };
        let user = line.split('\t').nth(2).unwrap_or_default().trim_end();
        if pid > 1 && user.contains('@') {
            let protocol = protocol(line.split('\t').next().unwrap_or_default());
            sessions.push(Session { pid, user: user.to_owned(), protocol });
        }
    }
    Ok(sessions)
}

/// Of the name of a service in `cyrus.conf`.
fn protocol(service: &str) -> Option<Protocol> {
    match service.trim_end_matches('s') {
        "imap" => Some(Protocol::Imap),
        "pop3" => Some(Protocol::Pop3),
        "sieve" => Some(Protocol::ManageSieve),
        _ => None,
    }
}

/// Asks the process to end; it does so at once, and its client sees the connection closed. Whether it was asked: a list
/// may be older than the process of that number.
fn end(session: &Session) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", session.pid)).unwrap_or_default();
    let pid = Pid::from_raw(session.pid).filter(|_| SERVED_BY.contains(&name.trim_end()));
    pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::testing::{credential, directory};

    fn of(pid: i32, user: &str) -> Session {
        Session { pid, user: user.into(), protocol: Some(Protocol::Imap) }
    }

    fn watch() -> Watch {
        Watch { replica: directory(), shard: 0, opened: Opened::default(), owners: HashMap::new() }
    }

    #[test]
    fn only_sessions_of_active_mailboxes_of_this_store_may_stay() {
        let sessions = [
            of(2, "an@x.vn"),
            of(3, "suspended@x.vn"),
            of(4, "elsewhere@x.vn"),
            of(5, "alias@x.vn"),
            of(6, "gone@x.vn"),
            of(7, ADMIN),
        ];
        assert_eq!(watch().unwelcome(&sessions), sessions[1..5]);
        let empty = Replica::new(crate::names::SystemName::new("n", "s"));
        let mut unloaded = Watch { replica: empty, ..watch() };
        assert_eq!(unloaded.unwelcome(&sessions), []);
    }

    #[test]
    fn a_session_ends_when_the_address_becomes_anothers() {
        let mut watch = watch();
        let sessions = [of(2, "an@x.vn"), of(3, "binh@x.vn")];
        assert_eq!(watch.unwelcome(&sessions), []);
        watch.owners.insert((2, "an@x.vn".into()), "somebody before".into());
        assert_eq!(watch.unwelcome(&sessions), sessions[..1]);
        assert_eq!(watch.unwelcome(&sessions), [], "a new session has this number");
    }

    #[test]
    fn a_session_ends_with_the_password_that_opened_it() {
        let mut watch = watch();
        let sessions = [of(2, "an@x.vn"), of(3, "an@x.vn"), of(4, "an@x.vn")];
        watch.opened.note(2, "an@x.vn", &credential().tag());
        watch.opened.note(3, "an@x.vn", "a password that is gone");
        // The process served somebody else before.
        watch.opened.note(4, "binh@x.vn", "another one");
        assert_eq!(watch.unwelcome(&sessions), sessions[1..2]);
        watch.opened.keep(&sessions[..1]);
        assert_eq!(watch.opened.lock().len(), 3, "a log-in is not a session at once");
    }

    #[test]
    fn cyrus_list_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, line) in [
            ("12", "imap\t[10.0.0.1]\tan@x.vn\tx.vn!user.an\tIdle\n"),
            ("13", "idled\t\t\t\t\n"),
            ("14", "imap\t[127.0.0.1]\tcyrus\t\tLogout\n"),
            ("15", "pop3\t[10.0.0.1]\tbinh@x.vn"),
            ("16", ""),
            ("x", "imap\t\tan@x.vn\t\t\n"),
        ] {
            fs::write(folder.path().join(name), line).unwrap();
        }
        let mut sessions = sessions(folder.path()).unwrap();
        sessions.sort_by_key(|session| session.pid);
        let pop3 = Session { protocol: Some(Protocol::Pop3), ..of(15, "binh@x.vn") };
        assert_eq!(sessions, [of(12, "an@x.vn"), pop3]);
    }

    #[test]
    fn a_process_that_is_not_cyrus_is_left_alone() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(!end(&of(pid, "an@x.vn")));
    }
}
