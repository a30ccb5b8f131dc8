//! A connection to the Cyrus that serves what was restored, as a mailbox's owner. Nothing is changed, but for the access list of
//! a folder that its owner may not read: it is the owner's to change.
//!
//! What Cyrus refuses comes back as words; an error is a connection that broke, or on which nothing came for [`PATIENCE`].

use std::{fmt::Write, io, net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use super::responses::{Answer, Fetched, Reading, coded};
use crate::{
    agent::store::password::AdminPassword,
    wire::imap::{Command, Condition, Response},
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// UIDs named in one command.
const AT_ONCE: usize = 200;
/// What belongs to the owner and to nobody else.
const OWN: &str = "INBOX*";

/// See the module.
pub struct Session {
    owner: String,
    framed: Framed<TcpStream, Reading>,
    next_tag: usize,
}

/// A folder that was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Its unique id.
    pub id: String,
    /// What its UIDs are valid with.
    pub uid_validity: u32,
    /// Its messages.
    pub exists: u32,
}

impl Session {
    /// Connects as the owner of `address`, or as administrator.
    ///
    /// # Errors
    /// Cyrus cannot be reached or refuses the log-in.
    pub async fn open(at: SocketAddr, password: &AdminPassword, owner: &str) -> io::Result<Self> {
        let stream = patiently(TcpStream::connect(at)).await??;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, Reading::default());
        let mut session = Self { owner: owner.to_owned(), framed, next_tag: 0 };
        match session.next().await?.response().map_err(io::Error::other)? {
            Response::Notice { condition: Condition::Ok, .. } => {}
            other => return Err(io::Error::other(format!("it greets with {other:?}"))),
        }
        let plain = BASE64_STANDARD.encode(password.sasl_plain(owner));
        match session.run(Command::new("AUTHENTICATE PLAIN").raw(&plain), |_| ()).await? {
            Ok(()) => Ok(session),
            Err(refusal) => Err(io::Error::other(format!("log-in refused: {refusal}"))),
        }
    }

    /// The names of the owner's folders.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn folders(&mut self) -> io::Result<Vec<Bytes>> {
        let (mut names, mut bad) = (Vec::new(), None);
        let list = Command::new("LIST").string(b"").string(OWN.as_bytes());
        let listed = |answer: &Answer| match answer.response() {
            Ok(Response::List { name }) if answer.is_folder() => names.push(name),
            Ok(_) => {}
            Err(error) => bad = Some(error),
        };
        self.run(list, listed).await?.map_err(io::Error::other)?;
        bad.map_or(Ok(names), |error| Err(io::Error::other(error)))
    }

    /// Opens a folder to read it; its words if Cyrus refuses.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn open_folder(&mut self, name: &[u8]) -> io::Result<Result<Opened, String>> {
        let refused = match self.examine(name).await? {
            Err(refused) => refused,
            opened => return Ok(opened),
        };
        let allow = Command::new("SETACL").string(name).string(self.owner.as_bytes()).raw("+r");
        match self.run(allow, |_| ()).await? {
            Ok(()) => self.examine(name).await,
            Err(_) => Ok(Err(refused)),
        }
    }

    async fn examine(&mut self, name: &[u8]) -> io::Result<Result<Opened, String>> {
        let mut opened = Opened::default();
        let told = |answer: &Answer| {
            if let Some(exists) = answer.exists() {
                opened.exists = exists;
            } else if let Ok(Response::Notice { text, .. }) = answer.response() {
                if let Some(id) = coded(&text, "MAILBOXID") {
                    id.clone_into(&mut opened.id);
                }
                let validity = coded(&text, "UIDVALIDITY").and_then(|value| value.parse().ok());
                opened.uid_validity = validity.unwrap_or(opened.uid_validity);
            }
        };
        let done = self.run(Command::new("EXAMINE").string(name), told).await?;
        Ok(done.map(|()| opened))
    }

    /// Reads messages of the folder that was opened last; its words if Cyrus refuses.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(
        &mut self,
        uids: &[u32],
        mut each: impl FnMut(Fetched),
    ) -> io::Result<Result<(), String>> {
        for uids in uids.chunks(AT_ONCE) {
            let fetch = Command::new("UID FETCH").raw(&set(uids)).raw("(UID FLAGS BODY.PEEK[])");
            let told = |answer: &Answer| {
                if let Some(fetched) = answer.fetched() {
                    each(fetched);
                }
            };
            if let Err(refusal) = self.run(fetch, told).await? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Ends it.
    pub async fn close(mut self) {
        // What was read is read, whether or not Cyrus says goodbye.
        let _ = self.run(Command::new("LOGOUT"), |_| ()).await;
    }

    /// Runs a command; `untagged` sees what comes before its end.
    async fn run(
        &mut self,
        command: Command,
        mut untagged: impl FnMut(&Answer),
    ) -> io::Result<Result<(), String>> {
        let tag = self.next_tag;
        self.next_tag += 1;
        patiently(self.framed.send((tag, command))).await?.map_err(io::Error::other)?;
        loop {
            let answer = self.next().await?;
            match answer.response().map_err(io::Error::other)? {
                Response::Done { tag: of, condition, text } if of == tag => {
                    let refusal = || String::from_utf8_lossy(&text).into_owned();
                    return Ok(if condition == Condition::Ok { Ok(()) } else { Err(refusal()) });
                }
                Response::Notice { condition: Condition::Bye, text } => {
                    let text = String::from_utf8_lossy(&text);
                    return Err(io::Error::other(format!("Cyrus ended the session: {text}")));
                }
                _ => untagged(&answer),
            }
        }
    }

    async fn next(&mut self) -> io::Result<Answer> {
        match patiently(self.framed.next()).await? {
            Some(answer) => answer.map_err(io::Error::other),
            None => Err(io::Error::other("Cyrus closed the connection")),
        }
    }
}

async fn patiently<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let silent = |_| io::Error::other(format!("Cyrus said nothing for {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, work).await.map_err(silent)
}

fn set(uids: &[u32]) -> String {
    uids.iter().fold(String::new(), |mut set, uid| {
        let comma = if set.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(set, "{comma}{uid}");
        set
    })
}
