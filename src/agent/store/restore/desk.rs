//! Answers the Job of a restore. Cyrus does what is asked, as the mailbox's owner, so that it reaches the replica as every
//! change does. An answer is given when Cyrus has it on the disk.
//!
//! Whether the owner may log in is of no matter: a suspended mailbox takes its mail back like any other. One that the directory
//! does not have, or has as a retired one, takes nothing. Quotas hold: what does not fit is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
};

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
    local::{self, Folders},
    protocol::{APPEND, Append, Ask, Fate, HAVE, Have, LARGEST, Mailbox, Message, Refusal, reason},
};
use crate::agent::{
    directory::Replica,
    store::{
        back::session::{Session, is_full},
        provision::{Failure, Need, Provisioner},
        role::PeerKey,
        signed::Signed,
    },
};

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Desk {
    signed: Signed,
    replica: Replica,
    shard: u32,
    provisioner: Provisioner,
    spool: Arc<Path>,
    /// One change at a time: what is looked for must not come in between.
    turn: Arc<Mutex<()>>,
}

impl Desk {
    /// Of a store of this shard, whose Cyrus keeps its mail in `spool`.
    pub fn new(
        key: PeerKey,
        (replica, shard): (Replica, u32),
        provisioner: Provisioner,
        spool: &Path,
        serves: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        let (signed, turn) = (Signed::new(key, serves), Arc::default());
        Self { signed, replica, shard, provisioner, spool: spool.into(), turn }
    }

    /// The routes of [`super::protocol`].
    pub fn routes(self) -> Router {
        Router::new()
            .route(HAVE, post(have))
            .route(APPEND, post(append))
            .layer(DefaultBodyLimit::max(LARGEST + (4 << 20)))
            .with_state(self)
    }

    async fn have(&self, ask: Ask) -> io::Result<Have> {
        if let Some(refusal) = self.refusal(&ask.address).await? {
            return Ok(Have::Refused(refusal));
        }
        let folders = self.folders(&ask.address).await?;
        let mailbox = self.mailbox(folders).await?;
        Ok(Have::Mailbox(mailbox))
    }

    /// Why nothing is taken for this mailbox. It is made if the directory wants one.
    async fn refusal(&self, address: &str) -> io::Result<Option<Refusal>> {
        let here = self.replica.find(address).filter(|it| it.address == address);
        if here.is_none_or(|found| found.entry.store != self.shard) {
            let message = format!("this store has no mailbox {address} in its directory");
            return Ok(Some(Refusal::new(reason::NO_MAILBOX, message)));
        }
        match self.provisioner.ensure(address, Need::Mailbox).await {
            Ok(()) => Ok(None),
            // What will pass is asked for again.
            Err(
                failure @ (Failure::Moving | Failure::Refused(_) | Failure::Unavailable(_) | Failure::Late),
            ) => Err(io::Error::other(failure)),
            Err(failure) => Ok(Some(Refusal::new(reason::NO_MAILBOX, format!("{address}: {failure}")))),
        }
    }

    async fn folders(&self, address: &str) -> io::Result<Folders> {
        self.provisioner.folders(address).await.map_err(io::Error::other)
    }

    async fn mailbox(&self, folders: Folders) -> io::Result<Mailbox> {
        let spool = self.spool.clone();
        spawn_blocking(move || local::mailbox(&spool, &folders)).await.map_err(io::Error::other)?
    }

    async fn append(&self, ask: Append, bytes: Bytes) -> io::Result<Vec<Fate>> {
        let _turn = self.turn.lock().await;
        let bodies = cut(&ask.messages, &bytes)
            .ok_or_else(|| io::Error::other("the messages are not as long as they should be"))?;
        if let Some(refusal) = self.refusal(&ask.address).await? {
            return Ok(vec![Fate::Refused(refusal); ask.messages.len()]);
        }
        let folders = self.folders(&ask.address).await?;
        let kept = self.kept(&folders, &ask.messages).await?;
        let mut there = self.mailbox(folders).await?.folders;
        let mut session = Session::open(self.provisioner.access(), &ask.address).await?;
        let mut fates = Vec::with_capacity(bodies.len());
        for (message, sent) in ask.messages.iter().zip(bodies) {
            let body = sent.as_deref().or_else(|| kept.get(&message.guid).map(Vec::as_slice));
            fates.push(add(&mut session, &mut there, message, body).await?);
        }
        Ok(fates)
    }

    /// What is still here of the messages that were not sent.
    async fn kept(&self, folders: &Folders, messages: &[Message]) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let not_sent = messages.iter().filter(|message| message.bytes.is_none());
        let guids: BTreeSet<_> = not_sent.map(|message| message.guid.clone()).collect();
        if guids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (spool, folders) = (self.spool.clone(), folders.clone());
        spawn_blocking(move || local::kept(&spool, &folders, &guids)).await.map_err(io::Error::other)?
    }
}

/// The bytes of each message that was sent.
fn cut(messages: &[Message], bytes: &Bytes) -> Option<Vec<Option<Bytes>>> {
    let mut at = 0_usize;
    let mut bodies = Vec::with_capacity(messages.len());
    for message in messages {
        let Some(length) = message.bytes else {
            bodies.push(None);
            continue;
        };
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        if end > bytes.len() {
            return None;
        }
        bodies.push(Some(bytes.slice(at..end)));
        at = end;
    }
    (at == bytes.len()).then_some(bodies)
}

/// Adds a message to its folder, unless it lives there.
async fn add(
    session: &mut Session<'_>,
    there: &mut BTreeMap<String, BTreeSet<String>>,
    message: &Message,
    body: Option<&[u8]>,
) -> io::Result<Fate> {
    let Message { path, guid, date, flags, .. } = message;
    if there.get(path).is_some_and(|contents| contents.contains(guid)) {
        return Ok(Fate::There);
    }
    let Some(body) = body else { return Ok(Fate::Lacking) };
    if !local::is(body, guid) {
        return Ok(Fate::Refused(Refusal::new(reason::DAMAGED, "its bytes are not what its digest says")));
    }
    if !there.contains_key(path) {
        if let Some(words) = session.create(path).await? {
            return Ok(refused(&words, &format!("folder {path} cannot be made")));
        }
        there.insert(path.clone(), BTreeSet::new());
    }
    if let Some(words) = session.append(path, (*date, flags), body).await? {
        return Ok(refused(&words, "Cyrus does not take it"));
    }
    there.entry(path.clone()).or_default().insert(guid.clone());
    Ok(Fate::Appended)
}

fn refused(words: &str, what: &str) -> Fate {
    let reason = if is_full(words) { reason::FULL } else { reason::REFUSED };
    Fate::Refused(Refusal::new(reason, format!("{what}: {words}")))
}

async fn have(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let work = async |ask, _| desk.have(ask).await;
    desk.signed.answer(HAVE, (&headers, &body), |ask: &Ask| ask.epoch, work).await
}

async fn append(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let work = async |ask, messages| desk.append(ask, messages).await;
    desk.signed.answer(APPEND, (&headers, &body), |ask: &Append| ask.epoch, work).await
}
