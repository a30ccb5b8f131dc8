//! Carries a restore out, mailbox after mailbox; files are got for many at a time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use super::{
    failed, head,
    manifests::{Snapshot, chosen},
    near::{Heads, MOST, in_mailbox, nearest},
    rounds::{Piece, Round, pieces},
    select::{Source, select},
    stores::{Stores, Trouble},
    tally::Tally,
};
use crate::{
    agent::{
        job::context::Context,
        store::restore::protocol::{Have, Mailbox, Refusal, reason},
    },
    backup::manifest::Entry,
    job::{Failed, RestoreDone, RestoreWork},
};

/// Manifests that are got at a time.
const MANIFESTS: usize = 200;
/// A request has so many messages at the most.
const MESSAGES: usize = 100;
/// And so many bytes, if it has more than one message.
const BYTES: usize = 16 << 20;

/// See the module.
pub(super) struct Bringing<'a> {
    pub(super) work: RestoreWork,
    pub(super) context: &'a Context,
    pub(super) stores: Stores,
    pub(super) tally: Tally,
    pub(super) near: Vec<String>,
    pub(super) heads: Heads,
    pub(super) round: Round,
    /// What lives in the folders of the mailboxes of this round, if headers decide what is asked for.
    pub(super) there: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    pub(super) done: u64,
    /// Messages of the mailboxes that are asked for, and of those that are done.
    pub(super) messages: (u64, u64),
}

impl<'a> Bringing<'a> {
    /// Nothing is done yet.
    pub(super) fn new(work: RestoreWork, context: &'a Context, stores: Stores) -> Self {
        Self {
            work,
            context,
            stores,
            tally: Tally::default(),
            near: Vec::new(),
            heads: Heads::default(),
            round: Round::default(),
            there: BTreeMap::new(),
            done: 0,
            messages: (0, 0),
        }
    }

    /// Does it.
    pub(super) async fn run(mut self) -> RestoreDone {
        let outcome = self.all().await;
        let Self { tally, mut near, heads, .. } = self;
        near.extend(heads.lines());
        near.truncate(MOST);
        let mut done = tally.done(near);
        if let Err(failed) = outcome {
            done.failure = Some(failed);
        }
        done
    }

    async fn all(&mut self) -> Result<(), Failed> {
        self.tell("Reading");
        let snapshot = Snapshot::open(&self.work, self.context)?;
        let entries = snapshot.index().await?;
        let chosen = chosen(&entries, &self.work.addresses);
        self.name_near(&entries, &chosen);
        self.messages.0 = chosen.iter().map(|entry| entry.counts.messages).sum();
        for entries in chosen.chunks(MANIFESTS) {
            snapshot.manifests(entries).await?;
            for entry in entries {
                self.mailbox(&snapshot, entry).await?;
                self.done += 1;
                self.messages.1 += entry.counts.messages;
                self.tell("Restoring");
            }
        }
        let rest = self.round.take();
        self.rounds(&snapshot, rest).await
    }

    /// Names addresses that are like those that the snapshot does not have.
    fn name_near(&mut self, entries: &[Entry], chosen: &[Entry]) {
        if !self.work.addresses.is_empty() {
            self.tally.mailboxes = chosen.iter().filter_map(|entry| entry.mailbox.clone()).collect();
        }
        if chosen.is_empty() {
            let all = || entries.iter().filter_map(|entry| entry.mailbox.as_deref());
            for wanted in self.work.addresses.iter().take(MOST) {
                let names = nearest(wanted, all(), MOST.div_ceil(self.work.addresses.len().max(1)));
                self.near.extend(names.into_iter().map(|name| format!("the backup has a mailbox {name}")));
            }
        }
    }

    async fn mailbox(&mut self, snapshot: &Snapshot<'_>, entry: &Entry) -> Result<(), Failed> {
        let Some(mailbox) = entry.mailbox.as_deref() else { return Ok(()) };
        let contents = snapshot.contents(entry).await?;
        let sources = select(&contents, &self.work.filter, self.work.target.as_ref());
        if sources.is_empty() {
            if self.near.len() < MOST {
                self.near.extend(in_mailbox(&contents, &self.work.filter));
            }
            return Ok(());
        }
        let address = self.work.target_of(mailbox).to_owned();
        let refusal = match self.stores.have(self.work.shard, &address).await {
            Ok(Have::Mailbox(have)) => return self.plan(snapshot, mailbox, sources, have).await,
            Ok(Have::Refused(refusal)) => refusal,
            Err(Trouble::Refuses(why)) => Refusal::new(reason::REFUSED, why),
            Err(Trouble::Away(failed)) => return Err(failed),
        };
        let count = sources.iter().map(|source| source.items.len()).sum();
        self.tally.found += count as u64;
        self.tally.failed(count, &refusal, || format!("{count} messages of {mailbox}"));
        Ok(())
    }

    async fn plan(
        &mut self,
        snapshot: &Snapshot<'_>,
        mailbox: &str,
        sources: Vec<Source>,
        have: Mailbox,
    ) -> Result<(), Failed> {
        let (by_head, dry) = (head::is_needed(&self.work.filter), self.work.dry_run);
        let Mailbox { folders, kept } = have;
        if by_head {
            self.there.insert(mailbox.to_owned(), folders.clone());
        }
        for mut source in sources {
            if !by_head {
                let found = source.items.len();
                let there = folders.get(&source.path);
                source.items.retain(|item| there.is_none_or(|there| !there.contains(&item.guid)));
                self.tally.found += found as u64;
                self.tally.skipped += (found - source.items.len()) as u64;
                if dry {
                    self.tally.restored += source.items.len() as u64;
                    // Only those that are named have to be read.
                    source.items.truncate(if self.tally.wants_example() { MOST } else { 0 });
                }
            }
            for piece in pieces(mailbox, source, |item| !by_head && !dry && kept.contains(&item.guid)) {
                if let Some(full) = self.round.push(piece) {
                    self.rounds(snapshot, full).await?;
                }
            }
        }
        Ok(())
    }

    /// Gets the files of a round, and adds the messages; then those that the store does not keep after all.
    async fn rounds(&mut self, snapshot: &Snapshot<'_>, pieces: Vec<Piece>) -> Result<(), Failed> {
        let mut queue = VecDeque::from([pieces]);
        while let Some(pieces) = queue.pop_front() {
            let paths: Vec<_> = pieces.iter().flat_map(|piece| piece.paths.clone()).collect();
            if !paths.is_empty() {
                snapshot.files(paths).await?;
            }
            let mut again = Round::default();
            for piece in pieces {
                if self.context.cancel.is_cancelled() {
                    return Err(failed("Cancelled", "it was asked to end"));
                }
                for piece in self.piece(snapshot, piece).await? {
                    queue.extend(again.push(piece));
                }
            }
            snapshot.clear_messages()?;
            queue.extend(Some(again.take()).filter(|pieces| !pieces.is_empty()));
        }
        let round = &self.round;
        self.there.retain(|mailbox, _| round.has(mailbox));
        Ok(())
    }

    /// Adds the messages of a piece. Gives those back whose bytes the store does not have.
    async fn piece(&mut self, snapshot: &Snapshot<'_>, mut piece: Piece) -> Result<Vec<Piece>, Failed> {
        let (mut batch, mut bytes, mut lacking) = (Vec::new(), 0, Vec::new());
        for (item, kept) in mem::take(&mut piece.items) {
            let Some(sent) = self.read(snapshot, &piece, item, kept) else { continue };
            if batch.len() >= MESSAGES || (!batch.is_empty() && bytes + sent.body.len() > BYTES) {
                bytes = 0;
                lacking.extend(self.send(&piece, mem::take(&mut batch)).await?);
            }
            bytes += sent.body.len();
            batch.push(sent);
        }
        if !batch.is_empty() {
            lacking.extend(self.send(&piece, batch).await?);
        }
        Ok(piece.again(lacking))
    }
}
