//! A milter session of one Postfix process: several connections and messages, one after another.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::UnixStream, time::interval};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{
    Gate, claim,
    decide::{Decision, Origin, Scan, decide},
    groups,
    keep::{Envelope, path},
    message::{JOURNAL_ID, Message},
    sender::{self, Objection, object},
};
use crate::{
    journal::JournalId,
    store_login,
    wire::{
        milter::{
            Agreement, Codec, Command, Error as WireError, MacroStage, Macros, Reply, Wish, action, protocol,
        },
        reply::Reply as SmtpReply,
    },
};

/// While the answer takes longer, Postfix is told so this often: its timer (`content_timeout`) then starts anew.
const PROGRESS: Duration = Duration::from_secs(5);

/// One reply a message, at its end. `{daemon_name}` tells where it comes from, as `master.cf` and `main.cf` name it;
/// `{auth_authen}` is the log-in, `{auth_author}` whom it says that it sends for; `i` is the queue id, for the log.
const WISH: Wish = Wish {
    actions: action::ADD_HEADERS | action::CHANGE_HEADERS | action::QUARANTINE,
    protocol: protocol::NO_REPLIES
        | protocol::NO_HELO
        | protocol::NO_UNKNOWN
        | protocol::NO_DATA
        | protocol::HEADER_LEADING_SPACE,
    macros: &[
        (MacroStage::Connect, "{daemon_name}"),
        (MacroStage::Mail, "{auth_authen} {auth_author}"),
        (MacroStage::EndOfMessage, "i"),
    ],
};

/// Why a session broke off. Postfix then defers the message (`default_action=tempfail`).
#[derive(thiserror::Error, Debug)]
pub(super) enum Error {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a command came before the negotiation")]
    Unnegotiated,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// See the module.
pub(super) struct Session {
    pub(super) gate: Gate,
    postfix: Framed<UnixStream, Codec>,
    agreement: Option<Agreement>,
    origin: Origin,
    pub(super) login: Option<Bytes>,
    /// Whom a store says that it sends for (RFC 4954, 5).
    sender: Option<Bytes>,
    pub(super) envelope: Envelope,
    pub(super) queue_id: Bytes,
    pub(super) message: Message,
}

impl Session {
    pub(super) fn new(gate: Gate, stream: UnixStream) -> Self {
        let message = Message::new(gate.memory.clone());
        let (postfix, queue_id) = (Framed::new(stream, Codec), Bytes::new());
        let (agreement, origin, envelope) = (None, Origin::Outside, Envelope::default());
        Self { gate, postfix, agreement, origin, login: None, sender: None, envelope, queue_id, message }
    }

    /// Serves until Postfix leaves. When the gate closes, a message whose end is awaited is given up; Postfix defers it.
    pub(super) async fn run(mut self, close: CancellationToken) -> Result<(), Error> {
        while let Some(Some(command)) = close.run_until_cancelled(self.postfix.next()).await {
            let command = command?;
            let Some(agreement) = &self.agreement else {
                let Command::Negotiate(offer) = command else { return Err(Error::Unnegotiated) };
                let agreement = WISH.negotiate(offer)?;
                self.agreement = Some(agreement.clone());
                self.postfix.send(Reply::Negotiate(agreement)).await?;
                continue;
            };
            let wants_reply = agreement.expects_reply(&command);
            match command {
                Command::EndOfMessage { body } => {
                    self.message.body(body);
                    self.judge().await?;
                    self.reset();
                    continue;
                }
                Command::Quit => return Ok(()),
                other => self.note(other),
            }
            if wants_reply {
                self.postfix.send(Reply::Continue).await?;
            }
        }
        Ok(())
    }

    fn note(&mut self, command: Command) {
        match command {
            Command::Macros(macros) => self.macros(&macros),
            Command::MailFrom { address, .. } => {
                self.reset();
                self.envelope = Envelope { sender: path(&address), recipients: Vec::new() };
            }
            Command::Abort => self.reset(),
            Command::QuitNewConnection => {
                self.origin = Origin::Outside;
                (self.login, self.sender) = (None, None);
                self.reset();
            }
            Command::Header { name, value } => self.message.header(&name, &value, &self.gate.token),
            Command::Body(piece) => self.message.body(piece),
            Command::RcptTo { address, .. } => self.envelope.recipients.push(path(&address)),
            Command::Connect { .. }
            | Command::Helo(_)
            | Command::Data
            | Command::EndOfHeaders
            | Command::EndOfMessage { .. }
            | Command::Negotiate(_)
            | Command::Quit
            | Command::Unknown(_) => {}
        }
    }

    fn macros(&mut self, macros: &Macros) {
        match macros.before {
            b'C' => {
                self.origin = match macros.get("{daemon_name}").map(|name| &**name) {
                    Some(b"internal") => Origin::Internal,
                    Some(b"submission") => Origin::Submission,
                    Some(b"store") => Origin::Store,
                    _ => Origin::Outside,
                };
            }
            b'M' => {
                let value = |name| macros.get(name).filter(|value| !value.is_empty()).cloned();
                (self.login, self.sender) = (value("{auth_authen}"), value("{auth_author}"));
            }
            _ => {}
        }
        if let Some(id) = macros.get("i") {
            self.queue_id = id.clone();
        }
    }

    fn reset(&mut self) {
        self.message = Message::new(self.gate.memory.clone());
        self.envelope = Envelope::default();
    }

    /// The end of the message: look at the sender, scan, decide, journal, answer.
    async fn judge(&mut self) -> Result<(), Error> {
        if self.message.flooded() {
            let text = "Tu choi: tieu de gia mao. Refused: too many headers of reserved names";
            return self.refuse(SmtpReply::new(554, 6, 0, text)).await;
        }
        let decision = if self.message.overflow() {
            tracing::warn!("there is no memory left for a message");
            Decision::DeferUnscanned
        } else if let Some(objection) = self.objection() {
            Decision::Object(objection)
        } else {
            let (scanner, message) = (self.gate.scanner.clone(), self.message.bytes());
            let scan = self.meanwhile(scanner.scan(&message)).await?;
            if let Scan::Unavailable(reason) = &scan {
                tracing::warn!(queue_id = %self.queue_id.escape_ascii(), reason, "no clamd has judged a message");
            }
            decide(self.origin, self.message.verdict().is_some(), &scan, self.gate.policy)
        };
        tracing::info!(queue_id = %self.queue_id.escape_ascii(), ?decision, "judged");
        if let Some(refusal) = decision.refusal() {
            self.gate.count(&decision);
            return self.refuse(refusal).await;
        }
        let journalled = match self.gate.journal.clone() {
            None => None,
            Some(journal) => match self.keep(&journal).await? {
                Ok(id) => Some(id),
                Err(refusal) => {
                    self.gate.count_unjournalled();
                    return self.refuse(refusal).await;
                }
            },
        };
        self.gate.count(&decision);
        self.gate.sent(self.login.as_deref());
        self.change(decision, journalled).await?;
        Ok(self.postfix.send(Reply::Continue).await?)
    }

    /// What Postfix is to change in the message.
    async fn change(&mut self, decision: Decision, journalled: Option<JournalId>) -> Result<(), Error> {
        for (name, index) in self.message.forged() {
            let (name, value) = (Bytes::from_static(name.as_bytes()), Bytes::new());
            self.postfix.feed(Reply::ChangeHeader { index, name, value }).await?;
        }
        if let Decision::Quarantine(name) = decision {
            self.postfix.feed(Reply::Quarantine(format!("malware found: {name}").into())).await?;
        }
        if let Some(id) = journalled {
            let (name, value) = (Bytes::from_static(JOURNAL_ID.as_bytes()), format!(" {id}").into());
            self.postfix.feed(Reply::AddHeader { name, value }).await?;
        }
        Ok(())
    }

    /// What there is to say against the sender, before anything is scanned.
    fn objection(&self) -> Option<Objection> {
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map(|it| String::from_utf8_lossy(it).into_owned());
        let (login, author, directory) = (text(&self.login), self.message.author(), &self.gate.directory);
        match (self.origin, login.as_deref()) {
            (Origin::Internal, _) => None,
            (Origin::Store, Some(store_login::LOGIN)) => {
                claim::of_store(text(&self.sender).as_deref(), author, directory)
            }
            // Unjudged, it is deferred in any case.
            (Origin::Outside, None) => {
                let verdict = self.message.verdict()?;
                claim::of_outside(author, verdict, directory)
                    .or_else(|| groups::of_outside(&self.envelope.recipients, author, verdict, directory))
            }
            // Whoever logged in is bound by it, wherever that was.
            (_, login) => {
                object(sender::Envelope { login, null: self.envelope.sender.is_empty() }, author, directory)
            }
        }
    }

    async fn refuse(&mut self, refusal: SmtpReply) -> Result<(), Error> {
        Ok(self.postfix.send(Reply::ReplyCode(refusal)).await?)
    }

    /// Does `work`, and keeps Postfix waiting meanwhile.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::pin!(work);
        let mut progress = interval(PROGRESS);
        progress.tick().await;
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = progress.tick() => self.postfix.send(Reply::Progress).await?,
            }
        }
    }
}
