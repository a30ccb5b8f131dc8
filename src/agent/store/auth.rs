//! Who may log in to Cyrus: the saslauthd socket that Cyrus asks.
//!
//! Login and password come in; yes or no goes out. Passwords of people never come here: a gateway has checked them and
//! sends a token in their place. A failure of ours closes the connection unanswered, which Cyrus takes for a temporary
//! one; `NO` is kept for what is wrong. The agent itself logs in as administrator, with a password that only it knows.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use futures::{SinkExt, StreamExt};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    time::timeout,
};
use tokio_util::codec::Framed;

use super::{
    password::{ADMIN, AdminPassword},
    provision::{Failure, Need, Provisioner},
    role::Service,
    sessions::Opened,
};
use crate::{
    agent::{
        directory::{Found, Replica},
        sockets::listener::accept,
    },
    api::MailboxState,
    directory::fold,
    wire::{
        saslauthd::{Codec, Reply, Request},
        secret::Secret,
    },
};

/// Longest wait for a question: Cyrus writes it in one go.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The login by which a primary's Cyrus sends to its replica, as `admins` in `imapd.conf` has it.
pub const REPLICATOR: &str = "replicator";

/// Lets the other store's Cyrus in, but never while this store serves: what the other sends would be written over what
/// clients do here.
#[derive(Clone)]
pub struct Replicator {
    /// The key that both stores have.
    pub key: Secret,
    /// What this store may serve.
    pub service: watch::Receiver<Service>,
}

impl Replicator {
    fn admits(&self, password: &[u8]) -> bool {
        let right = verify_slices_are_equal(self.key.expose(), password).is_ok();
        right && !self.key.expose().is_empty() && *self.service.borrow() == Service::Closed
    }
}

/// What an answer rests on. Clones share it.
#[derive(Clone)]
pub struct Authority {
    /// The directory.
    pub replica: Replica,
    /// The store shard that this pod serves.
    pub shard: u32,
    /// The administrator's password.
    pub password: AdminPassword,
    /// Makes sure that who logs in has a mailbox.
    pub provisioner: Provisioner,
    /// What sessions are opened with.
    pub opened: Opened,
    /// The other store, if there is one.
    pub replicator: Option<Replicator>,
}

/// Makes the socket, in place of one that an earlier process left.
///
/// # Errors
/// It cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(path),
    }
}

/// Answers until it is dropped.
pub async fn run(listener: UnixListener, authority: Authority) {
    loop {
        // That none can be accepted for a while is no reason to end Cyrus.
        let (stream, _) = accept(|| listener.accept()).await;
        let authority = authority.clone();
        tokio::spawn(async move { authority.serve(stream).await });
    }
}

impl Authority {
    async fn serve(&self, stream: UnixStream) {
        let mut framed = Framed::new(stream, Codec);
        let pid = framed.get_ref().peer_cred().ok().and_then(|peer| peer.pid());
        let Ok(Some(Ok(request))) = timeout(READ_WITHIN, framed.next()).await else { return };
        match self.answer(&request, pid).await {
            // Cyrus may be gone by now.
            Some(reply) => drop(framed.send(reply).await),
            None => {
                tracing::warn!(login = %request.address().escape_ascii(), "a log-in cannot be judged now");
            }
        }
    }

    /// None if it cannot be told now. `pid` is the process of Cyrus that asks.
    async fn answer(&self, request: &Request, pid: Option<i32>) -> Option<Reply> {
        let login = request.address();
        if login == ADMIN {
            return Some(yes(self.password.is(request.password.expose())));
        }
        if login == REPLICATOR {
            let admits = |it: &Replicator| it.admits(request.password.expose());
            return Some(yes(self.replicator.as_ref().is_some_and(admits)));
        }
        let key = self.replica.token_key()?;
        let Some(login) = std::str::from_utf8(&login).ok().and_then(|login| fold(login).ok()) else {
            return Some(Reply::No);
        };
        // The gateway names the mailbox itself, whatever alias the user typed.
        let own = |found: &Found| found.address == login;
        let Some(found) = self.replica.find(&login).filter(own) else { return Some(Reply::No) };
        let tag = key.verify(&login, request.password.expose(), SystemTime::now()).filter(|tag| {
            // It may have been changed since the gateway saw it.
            found.entry.store == self.shard
                && found.entry.state == MailboxState::Active
                && self.replica.tags(&login, &found.entry).contains(tag)
        });
        let Some(tag) = tag else { return Some(Reply::No) };
        match self.provisioner.ensure(&login, Need::Folders).await {
            Ok(()) => {
                if let Some(pid) = pid {
                    self.opened.note(pid, &login, &tag);
                }
                Some(Reply::Ok)
            }
            Err(Failure::NotHere) => Some(Reply::No),
            Err(failure) => {
                tracing::warn!(login, %failure, "who logs in has no mailbox yet");
                None
            }
        }
    }
}

fn yes(right: bool) -> Reply {
    if right { Reply::Ok } else { Reply::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::store::testing::{credential, directory, token_key, with_service},
        failover::Epoch,
        wire::secret::Secret,
    };

    fn authority(replica: Replica) -> Authority {
        let provisioner = Provisioner::that_found(replica.clone(), &["an@x.vn"]);
        let password = AdminPassword::random().unwrap();
        Authority { replica, shard: 0, password, provisioner, opened: Opened::default(), replicator: None }
    }

    async fn ask(authority: &Authority, login: &str, password: &[u8]) -> Option<Reply> {
        let (login, password) = (login.to_owned().into(), Secret::new(password.to_vec()));
        let request = Request { login, password, service: "imap".into(), realm: "".into() };
        authority.answer(&request, Some(7)).await
    }

    fn token(login: &str) -> Vec<u8> {
        token_key().mint(login, &credential().tag(), SystemTime::now()).into_bytes()
    }

    #[tokio::test]
    async fn a_token_opens_the_active_mailbox_it_was_minted_for_and_no_other() {
        let authority = authority(directory());
        for login in ["an@x.vn", "An@X.vn"] {
            assert_eq!(ask(&authority, login, &token("an@x.vn")).await, Some(Reply::Ok));
        }
        for (login, password) in [
            ("an@x.vn", token("binh@x.vn")),
            ("an@x.vn", b"password".to_vec()),
            ("an@x.vn", token_key().mint("an@x.vn", "a former password's", SystemTime::now()).into_bytes()),
            ("suspended@x.vn", token("suspended@x.vn")),
            ("elsewhere@x.vn", token("elsewhere@x.vn")),
            ("alias@x.vn", token("alias@x.vn")),
            ("nobody@x.vn", token("nobody@x.vn")),
            ("an", token("an")),
            ("\u{fffd}", vec![0xff]),
        ] {
            assert_eq!(ask(&authority, login, &password).await, Some(Reply::No), "{login}");
        }
    }

    #[tokio::test]
    async fn where_a_directory_service_knows_the_password_its_tag_counts_in_place_of_the_mailboxs() {
        let mut authority = authority(directory());
        let (ldap, service) = with_service(false);
        authority.replica = service;
        let token = |tag: &str| token_key().mint("an@x.vn", tag, SystemTime::now()).into_bytes();
        assert_eq!(ask(&authority, "an@x.vn", &token(&ldap.tag())).await, Some(Reply::Ok));
        assert_eq!(ask(&authority, "an@x.vn", &token(&credential().tag())).await, Some(Reply::No));
        authority.replica = with_service(true).1;
        assert_eq!(ask(&authority, "an@x.vn", &token(&credential().tag())).await, Some(Reply::Ok));
    }

    #[tokio::test]
    async fn the_administrator_needs_the_password_of_this_start() {
        let authority = authority(directory());
        let plain = authority.password.sasl_plain("");
        assert_eq!(ask(&authority, ADMIN, &plain[ADMIN.len() + 2..]).await, Some(Reply::Ok));
        assert_eq!(ask(&authority, ADMIN, &token(ADMIN)).await, Some(Reply::No));
        assert_eq!(ask(&authority, ADMIN, b"").await, Some(Reply::No));
    }

    #[tokio::test]
    async fn the_other_store_is_let_in_only_while_this_one_serves_nothing() {
        let mut authority = authority(directory());
        assert_eq!(ask(&authority, REPLICATOR, b"key").await, Some(Reply::No), "no other store");
        let (serves, service) = watch::channel(Service::Closed);
        authority.replicator = Some(Replicator { key: Secret::new(b"key".to_vec()), service });
        assert_eq!(ask(&authority, REPLICATOR, b"key").await, Some(Reply::Ok));
        assert_eq!(ask(&authority, REPLICATOR, b"").await, Some(Reply::No));
        assert_eq!(ask(&authority, REPLICATOR, &token(REPLICATOR)).await, Some(Reply::No));
        for service in [Service::Open(Epoch::NONE), Service::Draining] {
            serves.send_replace(service);
            assert_eq!(ask(&authority, REPLICATOR, b"key").await, Some(Reply::No), "{service:?}");
        }
    }

    #[tokio::test]
    async fn without_a_directory_nobody_is_refused() {
        let authority = authority(Replica::new(crate::names::SystemName::new("n", "s")));
        assert_eq!(ask(&authority, "an@x.vn", &token("an@x.vn")).await, None);
    }
}
