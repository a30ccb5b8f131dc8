//! The present primary's side of a return: it says what it has of a mailbox, and takes what the former one has alone.
//!
//! Cyrus does what is asked, as the mailbox's owner, so that it reaches the replica as every change does. An answer is given
//! when Cyrus has it on the disk. Each request may come again: what is there already is not done twice.

use std::{io, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    response::Response,
    routing::post,
};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::{
    listing, local,
    protocol::{APPEND, Append, Ask, CHANGE, Change, Found, LIST, What},
    session::Session,
};
use crate::{
    agent::store::{
        door::{Locks, holds::holds},
        provision::{Failure, Need, Owned, Provisioner},
        role::PeerKey,
        signed::{LARGEST, Signed},
    },
    journal::JournalId,
};

/// What is recorded of a mailbox that is nobody's.
const NOBODY: &str = "nobody";

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Desk {
    signed: Signed,
    provisioner: Provisioner,
    spool: Arc<Path>,
    /// One change at a time: what is looked for must not come in between.
    turn: Arc<Mutex<()>>,
    /// The door's.
    deliveries: Locks,
}

impl Desk {
    /// Of a store whose Cyrus keeps its mail in `spool`, and whose door takes `deliveries`.
    pub fn new(
        key: PeerKey,
        (provisioner, deliveries): (Provisioner, Locks),
        spool: &Path,
        serves: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        let signed = Signed::new(key, serves);
        Self { signed, provisioner, spool: spool.into(), turn: Arc::default(), deliveries }
    }

    /// The routes of [`super::protocol`].
    pub fn routes(self) -> Router {
        Router::new()
            .route(LIST, post(list))
            .route(APPEND, post(append))
            .route(CHANGE, post(change))
            .layer(DefaultBodyLimit::max(LARGEST + (1 << 20)))
            .with_state(self)
    }

    async fn find(&self, ask: Ask) -> io::Result<Found> {
        let mut folders = self.folders(&ask.address).await?;
        let mut address = ask.address.clone();
        if inbox(&folders) != Some(&ask.inbox) {
            match self.place_of(&ask.inbox).await? {
                Some(place) if place.deleted => return Ok(Found::Deleted),
                Some(place) => {
                    address = place.address;
                    folders = self.folders(&address).await?;
                }
                // Made on both, for the same owner.
                None if self.is_owned(&ask).await? => folders = self.folders(&address).await?,
                None => return Ok(Found::Unknown),
            }
        }
        let mut ids: Vec<_> = folders.into_iter().map(|(_, id)| id).collect();
        // Cyrus lists no folders of programs.
        let more: Vec<_> = ask.folders.into_iter().filter(|id| !ids.contains(id)).collect();
        ids.extend(more);
        let spool = self.spool.clone();
        let mailbox = blocking(move || listing::mailbox(&spool, &address, &ids)).await?;
        Ok(Found::Mailbox(mailbox))
    }

    async fn folders(&self, address: &str) -> io::Result<Vec<(Owned, String)>> {
        self.provisioner.folders(address).await.map_err(io::Error::other)
    }

    /// Where the folder with this id is by now.
    async fn place_of(&self, id: &str) -> io::Result<Option<Owned>> {
        let found = local::folders(|entry| entry.id == id).await?;
        Ok(found.first().and_then(|entry| Owned::inner(&entry.name)))
    }

    /// Whether the mailbox of the address is the same owner's; it is made if the directory wants one.
    async fn is_owned(&self, ask: &Ask) -> io::Result<bool> {
        let Some(owner) = ask.owner.as_deref().filter(|owner| *owner != NOBODY) else { return Ok(false) };
        match self.provisioner.ensure(&ask.address, Need::Mailbox).await {
            // What will pass says nothing of whose it is: it is asked again.
            Err(
                failure @ (Failure::Moving | Failure::Refused(_) | Failure::Unavailable(_) | Failure::Late),
            ) => return Err(io::Error::other(failure)),
            // There may be one all the same.
            Err(failure) => {
                tracing::info!(address = ask.address, %failure, "no mailbox is made for what comes back");
            }
            Ok(()) => {}
        }
        let recorded = self.provisioner.recorded_owner(&ask.address).await.map_err(io::Error::other)?;
        Ok(recorded.as_deref() == Some(owner))
    }

    async fn take(&self, ask: Append, message: Bytes) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let id = ask.id.as_deref().map(str::as_bytes).and_then(JournalId::parse).filter(|_| ask.new);
        // The same message may be at the door.
        let _deliveries = match id {
            Some(id) => self.deliveries.take(vec![ask.address.clone()], id).await,
            None => Vec::new(),
        };
        if let Some(id) = id
            && holds(&self.provisioner, &ask.address, id).await.map_err(io::Error::other)?
        {
            return Ok(());
        }
        let folders = self.folders(&ask.address).await?;
        let same = self.with_content(&folders, &ask.path, &ask.guid).await?;
        if same.iter().any(|(uid, _)| !ask.besides.contains(uid)) {
            return Ok(());
        }
        let mut session = Session::open(self.provisioner.access(), &ask.address).await?;
        let there = folders.iter().any(|(folder, _)| !folder.deleted && folder.path == ask.path);
        let refusal = match if there { None } else { session.create(&ask.path).await? } {
            None => session.append_over(&ask.path, (ask.date, &ask.flags), &message).await?,
            refusal => refusal,
        };
        let Some(refusal) = refusal else { return Ok(()) };
        tracing::warn!(address = ask.address, path = ask.path, refusal, "it goes to the inbox");
        let same = self.with_content(&folders, "INBOX", &ask.guid).await?;
        if same.iter().any(|(_, lives)| *lives) {
            return Ok(());
        }
        session
            .append_over("INBOX", (ask.date, &ask.flags), &message)
            .await?
            .map_or(Ok(()), |refusal| Err(io::Error::other(refusal)))
    }

    async fn with_content(
        &self,
        folders: &[(Owned, String)],
        path: &str,
        guid: &str,
    ) -> io::Result<Vec<(u32, bool)>> {
        let there = folders.iter().find(|(folder, _)| !folder.deleted && folder.path == path);
        let Some((_, id)) = there else { return Ok(Vec::new()) };
        let (spool, id, guid) = (self.spool.clone(), id.clone(), guid.to_owned());
        blocking(move || listing::with_content(&spool, &id, &guid)).await
    }

    async fn change(&self, address: &str, what: What) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let folders = self.folders(address).await?;
        let path_of = |id: &str| {
            let live = folders.iter().filter(|(folder, _)| !folder.deleted);
            live.filter(|(_, of)| of == id).map(|(folder, _)| folder.path.clone()).next()
        };
        match what {
            What::Folder(path) => {
                if !folders.iter().any(|(folder, _)| !folder.deleted && folder.path == path) {
                    let mut session = Session::open(self.provisioner.access(), address).await?;
                    if let Some(refusal) = session.create(&path).await? {
                        // What belongs in it goes to the inbox.
                        tracing::warn!(address, path, refusal, "a folder cannot be made");
                    }
                }
            }
            What::Flags(id, known, add, remove) => {
                // A folder, or a message, that is gone by now needs no flags.
                let Some(path) = path_of(&id) else { return Ok(()) };
                let uids = self.living(&id, vec![known]).await?;
                if !uids.is_empty() {
                    let mut session = Session::open(self.provisioner.access(), address).await?;
                    if let Some(refusal) = session.flag(&path, &uids, &add, &remove).await? {
                        tracing::warn!(address, path, refusal, "flags of a message cannot be changed");
                    }
                }
            }
            What::Expunged(id, known) => {
                let Some(path) = path_of(&id) else { return Ok(()) };
                let uids = self.living(&id, known).await?;
                if !uids.is_empty() {
                    let mut session = Session::open(self.provisioner.access(), address).await?;
                    if let Some(refusal) = session.expunge(&path, &uids).await? {
                        return Err(io::Error::other(format!("{address}: {path}: {refusal}")));
                    }
                }
            }
        }
        Ok(())
    }

    /// The UIDs of those messages that are still what they were taken for.
    async fn living(&self, id: &str, known: Vec<(u32, String)>) -> io::Result<Vec<u32>> {
        let (spool, id) = (self.spool.clone(), id.to_owned());
        let folder = blocking(move || listing::folder(&spool, &id)).await?;
        let messages = folder.map(|(_, folder)| folder.messages).unwrap_or_default();
        let is_known =
            |it: &&listing::Message| known.iter().any(|(uid, guid)| (it.uid, &it.guid) == (*uid, guid));
        Ok(messages.iter().filter(|it| !it.expunged).filter(is_known).map(|it| it.uid).collect())
    }
}

/// The id of the inbox.
fn inbox(folders: &[(Owned, String)]) -> Option<&String> {
    folders.iter().find(|(folder, _)| !folder.deleted && folder.path == "INBOX").map(|(_, id)| id)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

async fn list(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let work = async |ask, _| desk.find(ask).await;
    desk.signed.answer(LIST, (&headers, &body), |ask: &Ask| ask.epoch, work).await
}

async fn append(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let work = async |ask, message| desk.take(ask, message).await;
    desk.signed.answer(APPEND, (&headers, &body), |ask: &Append| ask.epoch, work).await
}

async fn change(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let work = async |ask: Change, _| desk.change(&ask.address, ask.what).await;
    desk.signed.answer(CHANGE, (&headers, &body), |ask: &Change| ask.epoch, work).await
}
