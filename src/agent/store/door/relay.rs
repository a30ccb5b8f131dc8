//! A message on its way through the door: from `DATA` to the replies.
//!
//! Pieces come in from the gateway and go out to Cyrus; one reply for each accepted recipient goes back (RFC 2033,
//! 4.2). Nothing is held but the piece at hand.

use futures::{SinkExt, StreamExt};
use tokio::time::timeout;

use super::{
    dialect::is_unknown,
    session::{Error, IDLE, Session, away},
};
use crate::{
    agent::lmtp::Transaction,
    wire::{
        lmtp::{Command, Input},
        reply::Reply,
    },
};

impl Session {
    /// Streams a message through and passes the replies back.
    pub(super) async fn relay(&mut self) -> Result<(), Error> {
        let Some(mut transaction) = self.transaction.take().filter(|_| self.accepted > 0) else {
            return self.reply(Reply::new(503, 5, 1, "no valid recipients")).await;
        };
        match transaction.ask(Command::Data).await {
            Ok(reply) if reply.code() == 354 => {}
            Ok(reply) => return self.reply(reply).await,
            Err(error) => return self.reply(away(&error)).await,
        }
        self.reply(Reply::plain(354, "go ahead")).await?;
        self.client.codec_mut().start_data();
        let mut open = self.stream(transaction).await?;
        for _ in 0..std::mem::take(&mut self.accepted) {
            let reply = match &mut open {
                Ok(transaction) => match transaction.stored().await {
                    // It was there when it was asked for: it is being moved.
                    Ok(reply) if is_unknown(&reply) => Reply::new(451, 2, 1, "the mailbox is being moved"),
                    Ok(reply) => reply,
                    Err(error) => {
                        let reply = away(&error);
                        open = Err(reply.clone());
                        reply
                    }
                },
                Err(reply) => reply.clone(),
            };
            self.count(&reply);
            // At once: whoever waits for all of them might give up, and deliver again what is stored.
            self.client.send(reply).await?;
        }
        if let Ok(transaction) = open {
            transaction.quit().await;
        }
        Ok(())
    }

    /// Streams until the end of data. A message that cannot be handed on is read to its end nevertheless; Cyrus then
    /// never sees an end, and stores nothing.
    async fn stream(&mut self, transaction: Transaction) -> Result<Result<Transaction, Reply>, Error> {
        let mut open = Ok(transaction);
        loop {
            match timeout(IDLE.1, self.client.next()).await.ok().flatten().ok_or(Error::Gone)?? {
                Input::Data(piece) => {
                    let Ok(transaction) = &mut open else { continue };
                    if self.client.codec().has_bare_newline() {
                        open =
                            Err(Reply::new(554, 6, 0, "the message has a line feed without carriage return"));
                    } else if let Err(error) = transaction.data(piece).await {
                        open = Err(away(&error));
                    }
                }
                Input::EndOfData => break,
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
}
