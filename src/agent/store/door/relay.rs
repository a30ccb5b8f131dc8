//! A message on its way through the door: from `DATA` to the replies.
//!
//! Pieces come in from the gateway and go out to Cyrus; one reply for each accepted recipient goes back (RFC 2033,
//! 4.2). A recipient whose mailbox holds the message already is answered without Cyrus. Nothing is held but the headers
//! and the piece at hand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;

use super::{
    dialect::is_unknown,
    full::keep_out,
    head::Head,
    holds::{self, Error as HoldsError},
    session::{Accepted, Error, IDLE, Session, away},
};
use crate::{
    agent::lmtp::{Error as LmtpError, Transaction},
    agent::store::metrics::Recipient,
    journal::{JournalId, completion::Receipt},
    wire::{
        lmtp::{Command, Input},
        reply::Reply,
    },
};

/// A message that was accepted less long ago comes for the first time: Postfix waits longer before it tries again.
const FRESH: Duration = Duration::from_secs(5);

/// What an accepted recipient is told, if that is known before Cyrus has the message.
pub(super) type Fate = Option<Reply>;

impl Session {
    /// Streams a message through and passes the replies back.
    pub(super) async fn relay(&mut self) -> Result<(), Error> {
        let Some(transaction) = self.transaction.take().filter(|_| !self.accepted.is_empty()) else {
            return self.reply(Reply::new(503, 5, 1, "no valid recipients")).await;
        };
        let accepted = std::mem::take(&mut self.accepted);
        self.reply(Reply::plain(354, "go ahead")).await?;
        self.client.codec_mut().start_data();
        let head = self.head().await?;
        let addresses: Vec<_> = accepted.iter().map(|it| it.address.clone()).collect();
        let _turns = match head.id {
            Some(id) => self.door.locks.take(addresses, id).await,
            None => Vec::new(),
        };
        let mut fates = self.fates(&accepted, head.id).await;
        keep_out(&mut fates, &accepted, head.message_id.as_deref());
        let open = self.admit(transaction, &accepted, &mut fates).await;
        let mut open = self.stream(open, head).await?;
        for (fate, recipient) in fates.into_iter().zip(&accepted) {
            let reply = match (fate, &mut open) {
                (Some(reply), _) => reply,
                (None, Ok(transaction)) => match transaction.stored().await {
                    // It was there when it was asked for: it is being moved.
                    Ok(reply) if is_unknown(&reply) => Reply::new(451, 2, 1, "the mailbox is being moved"),
                    Ok(reply) if reply.is_success() => receipt(&self.door.receipt),
                    Ok(reply) => reply,
                    Err(error) => {
                        let reply = away(&error);
                        open = Err(reply.clone());
                        reply
                    }
                },
                (None, Err(reply)) => reply.clone(),
            };
            let reply = self.still(reply);
            self.count(&reply);
            self.arrived(recipient, &reply);
            // At once: whoever waits for all of them might give up, and deliver again what is stored.
            self.client.send(reply).await?;
        }
        if let Ok(transaction) = open {
            transaction.quit().await;
        }
        Ok(())
    }

    /// What was found in a mailbox counts only while this store is the one that serves it.
    fn still(&self, reply: Reply) -> Reply {
        let over = self.door.period.as_ref().is_some_and(|period| !period.lasts());
        if over { Reply::new(451, 3, 0, "another store serves this mailbox now") } else { reply }
    }

    /// Looks for the message in the mailboxes, unless it comes for the first time.
    async fn fates(&self, accepted: &[Accepted], id: Option<JournalId>) -> Vec<Fate> {
        let mut fates = vec![None; accepted.len()];
        let Some(id) = id.filter(|id| age(*id) >= FRESH) else { return fates };
        for (fate, Accepted { address, .. }) in fates.iter_mut().zip(accepted) {
            *fate = match holds::holds(&self.door.provisioner, address, id).await {
                Ok(false) => None,
                Ok(true) => {
                    tracing::info!(address, journal_id = %id, "the mailbox holds a message already");
                    self.door.metrics.recipients.get_or_create(&Recipient { fate: "held" }).inc();
                    Some(receipt(&self.door.receipt.clone().held()))
                }
                Err(HoldsError::Cyrus(error)) => Some(away(&error)),
                // Cyrus takes the message, and then a copy is better than none.
                Err(error) => {
                    tracing::error!(address, %error, "a folder cannot be searched for a message");
                    None
                }
            };
        }
        fates
    }

    /// Brings the transaction to the point where Cyrus takes the message for those whose fate is open.
    async fn admit(
        &self,
        mut transaction: Transaction,
        accepted: &[Accepted],
        fates: &mut [Fate],
    ) -> Result<Transaction, Reply> {
        let asked = async {
            if fates.iter().any(Option::is_some) {
                transaction.ask(Command::Rset).await?;
                let (from, params) = self.sender.clone();
                let opened = transaction.ask(Command::Mail { from, params }).await?;
                if !opened.is_success() {
                    return Ok(Some(opened));
                }
                for (fate, Accepted { to, params, .. }) in fates.iter_mut().zip(accepted) {
                    if fate.is_none() {
                        let rcpt = Command::Rcpt { to: to.clone(), params: params.clone() };
                        let reply = transaction.ask(rcpt).await?;
                        *fate = (!reply.is_success()).then_some(reply);
                    }
                }
                if fates.iter().all(Option::is_some) {
                    return Ok(Some(opened));
                }
            }
            let reply = transaction.ask(Command::Data).await?;
            Ok::<_, LmtpError>((reply.code() != 354).then_some(reply))
        };
        match asked.await {
            Ok(None) => Ok(transaction),
            // Of all recipients, or nobody is left who asks.
            Ok(Some(reply)) => {
                transaction.quit().await;
                Err(reply)
            }
            Err(error) => Err(away(&error)),
        }
    }

    /// Streams until the end of data. A message that cannot be handed on is read to its end nevertheless; Cyrus then
    /// never sees an end, and stores nothing.
    async fn stream(
        &mut self,
        mut open: Result<Transaction, Reply>,
        head: Head,
    ) -> Result<Result<Transaction, Reply>, Error> {
        for piece in head.pieces {
            open = self.hand_over(open, piece).await;
        }
        let mut ended = head.ended;
        while !ended {
            match timeout(IDLE.1, self.client.next()).await.ok().flatten().ok_or(Error::Gone)?? {
                Input::Data(piece) => open = self.hand_over(open, piece).await,
                Input::EndOfData => ended = true,
                Input::Command(_) | Input::Bad(_) => return Err(Error::Gone),
            }
        }
        if let Ok(transaction) = &mut open
            && let Err(error) = transaction.end_data().await
        {
            open = Err(away(&error));
        }
        Ok(open)
    }

    async fn hand_over(&self, open: Result<Transaction, Reply>, piece: Bytes) -> Result<Transaction, Reply> {
        let mut transaction = open?;
        if self.client.codec().has_bare_newline() {
            return Err(Reply::new(554, 6, 0, "the message has a line feed without carriage return"));
        }
        transaction.data(piece).await.map(|()| transaction).map_err(|error| away(&error))
    }
}

/// A store has the message.
fn receipt(receipt: &Receipt) -> Reply {
    Reply::new(250, 1, 5, &receipt.to_string())
}

/// How long ago a message was accepted.
fn age(id: JournalId) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(id.millis()))
}
