//! Sends messages of a restore to the store, and counts what becomes of each.

use std::{collections::VecDeque, fs};

use bytes::Bytes;

use super::{
    bring::Bringing,
    head::{self, Head},
    manifests::Snapshot,
    rounds::Piece,
    select::Item,
    stores::Trouble,
    tally::line,
};
use crate::{
    agent::store::restore::protocol::{Fate, LARGEST, Message, Refusal, reason},
    job::{Failed, Progress},
};

/// A message that is sent.
pub(super) struct Sent {
    pub(super) item: Item,
    pub(super) head: Head,
    pub(super) message: Message,
    pub(super) body: Bytes,
}

impl Bringing<'_> {
    /// A message that is to be sent: one that is asked for, and whose file is there.
    pub(super) fn read(
        &mut self,
        snapshot: &Snapshot<'_>,
        piece: &Piece,
        item: Item,
        kept: bool,
    ) -> Option<Sent> {
        let body = if kept { Bytes::new() } else { self.file(snapshot, piece, &item)? };
        let head = Head::read(&body);
        let several = self.several(piece);
        let named = |head: &Head| line(several.as_deref(), piece, &item, head);
        if head::is_needed(&self.work.filter) {
            if !head.fits(&self.work.filter) {
                self.heads.see(&self.work.filter, &head, || format!("there is {}", named(&head)));
                return None;
            }
            self.tally.found += 1;
            let there = self.there.get(&piece.mailbox).and_then(|folders| folders.get(&piece.path));
            if there.is_some_and(|there| there.contains(&item.guid)) {
                self.tally.skipped += 1;
                return None;
            }
            self.tally.restored += u64::from(self.work.dry_run);
        }
        if self.work.dry_run {
            self.tally.example(|| named(&head));
            return None;
        }
        let message = Message {
            path: piece.path.clone(),
            guid: item.guid.clone(),
            date: item.date,
            flags: item.flags.clone(),
            bytes: (!kept).then_some(body.len() as u64),
        };
        Some(Sent { item, head, message, body })
    }

    fn file(&mut self, snapshot: &Snapshot<'_>, piece: &Piece, item: &Item) -> Option<Bytes> {
        let path = format!("{}/{}.", piece.dir, item.uid);
        let why = match fs::read(snapshot.at(&path)) {
            Ok(bytes) if bytes.len() <= LARGEST => return Some(bytes.into()),
            Ok(bytes) => format!("it has {} bytes, and the most is {LARGEST}", bytes.len()),
            Err(error) => format!("its file does not come out of the snapshot: {error}"),
        };
        if head::is_needed(&self.work.filter) {
            self.tally.found += 1;
        } else if self.work.dry_run {
            self.tally.restored -= 1;
        }
        let several = self.several(piece);
        self.tally.failed(1, &Refusal::new(reason::DAMAGED, why), || {
            line(several.as_deref(), piece, item, &Head::default())
        });
        None
    }

    /// The address of a piece, if there are several.
    fn several(&self, piece: &Piece) -> Option<String> {
        (self.work.addresses.len() != 1).then(|| piece.mailbox.clone())
    }

    /// Sends messages. A request that no store carries out is taken apart, so that one message keeps none of the others away.
    pub(super) async fn send(&mut self, piece: &Piece, batch: Vec<Sent>) -> Result<Vec<Item>, Failed> {
        let address = self.work.target_of(&piece.mailbox).to_owned();
        let (mut queue, mut lacking) = (VecDeque::from([batch]), Vec::new());
        while let Some(batch) = queue.pop_front() {
            let messages: Vec<_> =
                batch.iter().map(|sent| (sent.message.clone(), sent.body.clone())).collect();
            match self.stores.append(&address, &messages).await {
                Ok((fates, again)) => {
                    for (sent, fate) in batch.into_iter().zip(fates) {
                        lacking.extend(self.note(piece, sent, fate, again));
                    }
                }
                Err(Trouble::Away(failed)) => return Err(failed),
                Err(Trouble::Refuses(_)) if batch.len() > 1 => {
                    queue.extend(batch.into_iter().map(|sent| vec![sent]));
                }
                Err(Trouble::Refuses(why)) => {
                    let refusal = Refusal::new(reason::REFUSED, why);
                    for sent in batch {
                        self.note(piece, sent, Fate::Refused(refusal.clone()), true);
                    }
                }
            }
            self.tell("Restoring");
        }
        Ok(lacking)
    }

    /// Counts what became of a message. Gives it back if it has to be sent.
    fn note(&mut self, piece: &Piece, sent: Sent, fate: Fate, again: bool) -> Option<Item> {
        let several = self.several(piece);
        let named = || line(several.as_deref(), piece, &sent.item, &sent.head);
        match fate {
            Fate::Lacking => return Some(sent.item),
            // The first request was carried out, though its answer was lost.
            Fate::There if !again => self.tally.skipped += 1,
            Fate::Appended | Fate::There => {
                self.tally.restored += 1;
                self.tally.example(named);
            }
            Fate::Refused(refusal) => self.tally.failed(1, &refusal, named),
        }
        None
    }

    pub(super) fn tell(&self, phase: &str) {
        let (all, done) = self.messages;
        let percent = done.min(all) * 100 / all.max(1);
        self.context.told.progress(Progress {
            phase: phase.to_owned(),
            percent: u32::try_from(percent).unwrap_or_default(),
            mailboxes: self.done,
            messages: self.tally.restored,
            bytes: 0,
        });
    }
}
