//! The former primary's side of a return, one mailbox after another: what both have is listed, settled, and what the present
//! primary lacks is brought to it. Nothing is changed here.

use std::{
    fs, io,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use tokio::task::spawn_blocking;

use super::{
    aside::Aside,
    listing::{self, Folder, Mailbox, Message, hex},
    local,
    protocol::{APPEND, Append, Ask, CHANGE, Change, Found, LIST, What},
    settle::{Action, settle},
};
use crate::agent::store::{
    door::holds::path_of,
    role::{PeerClient, clock},
    signed::{Answer, LARGEST},
};

/// Longest wait for the other's list of a mailbox, or for it to take a message or a change.
const WITHIN: Duration = Duration::from_mins(5);
/// Messages deleted in one request.
const AT_ONCE: usize = 1000;

/// A mailbox on this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: String,
    /// The unique id of its inbox; empty if it has none.
    pub inbox: String,
    /// The unique ids of all of its folders.
    pub folders: Vec<String>,
}

/// What becomes of a mailbox here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It follows as it is.
    Stays,
    /// It has to be got anew.
    Anew,
}

/// Brings what this store has to the primary of one epoch.
pub struct Carrier {
    peer: PeerClient,
    epoch: u64,
    spool: PathBuf,
    aside: Aside,
}

impl Carrier {
    /// From the mail in `spool` to the `peer` that serves `epoch`; what cannot be brought is kept by `aside`.
    #[must_use]
    pub fn new(peer: PeerClient, epoch: u64, spool: &Path, aside: Aside) -> Self {
        Self { peer, epoch, spool: spool.to_owned(), aside }
    }

    /// Brings all of a mailbox that the other lacks. It may be interrupted and done again.
    ///
    /// # Errors
    /// It is not certain to be there.
    pub async fn carry(&self, account: &Account) -> io::Result<Fate> {
        let former = self.list(account).await?;
        match self.find(account).await? {
            Found::Mailbox(present) => self.settle(&former, &present).await,
            Found::Deleted => {
                tracing::info!(
                    address = account.address,
                    "it was deleted meanwhile, and is not brought back"
                );
                Ok(Fate::Anew)
            }
            Found::Unknown => {
                let (aside, spool) = (self.aside.clone(), self.spool.clone());
                let kept = spawn_blocking(move || aside.keep_all(&spool, &former)).await;
                let folder = kept.map_err(io::Error::other)??;
                tracing::warn!(
                    address = account.address,
                    folder = %folder.display(),
                    "the present primary has another mailbox of this address, or none: its mail is set aside"
                );
                Ok(Fate::Anew)
            }
        }
    }

    async fn list(&self, account: &Account) -> io::Result<Mailbox> {
        let (spool, Account { address, folders, .. }) = (self.spool.clone(), account.clone());
        let read = move || {
            let mailbox = listing::mailbox(&spool, &address, &folders)?;
            listing::is_whole(&spool, &mailbox, &folders).map(|()| mailbox)
        };
        spawn_blocking(read).await.map_err(io::Error::other)?
    }

    async fn find(&self, account: &Account) -> io::Result<Found> {
        let Account { address, inbox, folders } = account.clone();
        let mut ask = Ask { epoch: self.epoch, address, inbox, owner: None, folders };
        let found = self.ask(LIST, &ask).await?;
        if found != Found::Unknown {
            return Ok(found);
        }
        // It may be the same owner's, made on both.
        ask.owner = local::owner(&ask.inbox).await?;
        if ask.owner.is_none() { Ok(found) } else { self.ask(LIST, &ask).await }
    }

    async fn settle(&self, former: &Mailbox, present: &Mailbox) -> io::Result<Fate> {
        let now = u32::try_from(clock::unix()).unwrap_or(u32::MAX);
        let settled = settle(former, present, now);
        let count = settled.actions.len();
        if count > 0 {
            tracing::info!(
                address = former.address,
                changes = count,
                "what only this store has is carried over"
            );
        }
        let mut expunged: Vec<(String, Vec<(u32, String)>)> = Vec::new();
        for action in settled.actions {
            match action {
                Action::Create { path } => self.change(present, What::Folder(path)).await?,
                Action::Append { from: (id, uid), path, message, besides, new } => {
                    let folder = former.folders.iter().find(|folder| folder.id == id);
                    self.append(present, folder, (uid, &message), (path, besides, new)).await?;
                }
                Action::Flag { folder, message, add, remove } => {
                    self.change(present, What::Flags(folder, message, add, remove)).await?;
                }
                Action::Expunge { folder, message } => match expunged.last_mut() {
                    Some((last, messages)) if *last == folder && messages.len() < AT_ONCE => {
                        messages.push(message);
                    }
                    _ => expunged.push((folder, vec![message])),
                },
            }
        }
        for (folder, messages) in expunged {
            self.change(present, What::Expunged(folder, messages)).await?;
        }
        Ok(if settled.contained { Fate::Stays } else { Fate::Anew })
    }

    async fn append(
        &self,
        present: &Mailbox,
        folder: Option<&Folder>,
        (uid, message): (u32, &Message),
        (path, besides, new): (String, Vec<u32>, bool),
    ) -> io::Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        let ask = Append {
            epoch: self.epoch,
            address: present.address.clone(),
            path,
            guid: message.guid.clone(),
            id: message.id.clone(),
            besides,
            new,
            date: message.date,
            flags: message.flags.clone(),
        };
        let head = serde_json::to_vec(&ask)?;
        let file = file_of(&self.spool, &folder.id, uid)?;
        let guid = message.guid.clone();
        let read = spawn_blocking(move || read(&file, &guid, &head)).await.map_err(io::Error::other)?;
        let body = match read {
            Ok(body) => body,
            Err(why) => {
                let at = self.aside.keep(&self.spool, &present.address, folder, uid);
                let at =
                    at.map_err(|error| io::Error::other(format!("{why}, and cannot be set aside: {error}")))?;
                tracing::error!(
                    address = present.address,
                    folder = folder.path,
                    uid,
                    why,
                    ?at,
                    "a message is not carried over"
                );
                return Ok(());
            }
        };
        let answer: Answer<()> = serde_json::from_slice(&self.peer.send(APPEND, body, WITHIN).await?)?;
        done(answer)
    }

    async fn change(&self, present: &Mailbox, what: What) -> io::Result<()> {
        let address = present.address.clone();
        self.ask(CHANGE, &Change { epoch: self.epoch, address, what }).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> io::Result<T> {
        done(self.peer.ask::<Answer<T>>(path, request, WITHIN).await?)
    }
}

fn done<T>(answer: Answer<T>) -> io::Result<T> {
    match answer {
        Answer::Done(done) => Ok(done),
        Answer::Refused(why) => Err(io::Error::other(format!("the present primary: {why}"))),
    }
}

/// The file of a message.
pub fn file_of(spool: &Path, folder: &str, uid: u32) -> io::Result<PathBuf> {
    Ok(path_of(spool, folder).ok_or(ErrorKind::InvalidInput)?.join(format!("{uid}.")))
}

/// The message behind its request, if its file is whole.
fn read(file: &Path, guid: &str, head: &[u8]) -> Result<Bytes, String> {
    let about = fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if about.len() > LARGEST as u64 {
        return Err(format!("it has {} bytes, and the most is {LARGEST}", about.len()));
    }
    let message = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &message).as_ref()) != guid {
        return Err(format!("{} is damaged", file.display()));
    }
    let mut body = BytesMut::from(head);
    body.put_u8(b'\n');
    body.extend_from_slice(&message);
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_is_sent() {
        let spool = tempfile::tempdir().unwrap();
        let file = file_of(spool.path(), "ab1", 7).unwrap();
        assert!(file.ends_with("uuid/a/b/ab1/7."));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "abc").unwrap();
        let guid = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(read(&file, guid, b"{}").unwrap(), "{}\nabc");
        fs::write(&file, "ab").unwrap();
        assert!(read(&file, guid, b"").unwrap_err().ends_with("is damaged"));
        fs::remove_file(&file).unwrap();
        assert!(read(&file, guid, b"").unwrap_err().contains("7.: "));
        assert!(file_of(spool.path(), "../x", 7).is_err());
    }
}
