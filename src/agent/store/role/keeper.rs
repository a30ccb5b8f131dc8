//! Decides again and again, and does what was decided.

use std::{io, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Service,
    beat::{VoteAnswer, VoteRequest},
    clock,
    daemon::{Daemon, Mode},
    following::{self, Following},
    lease::{Error as LeaseError, Read},
    leaser::Slot,
    shared::Shared,
    volume::Record,
};
use crate::{
    agent::store::{
        cyrus::GRACE,
        replication::{self, Channel, Trouble},
    },
    failover::{
        Activity, Asked, Decision, Epoch, Lease, SecondVote, Stop, View, Wait, decide, founds, release,
    },
    role::StaleTakeover,
};

/// Decided at least this often.
const PERIOD: Duration = Duration::from_millis(200);
/// Longest wait for a vote: what comes after the fencing time is worth nothing.
const VOTED_WITHIN: Duration = Duration::from_millis(1500);
/// Between attempts that failed, so that two stores do not cross each other's for ever; times the pod's ordinal and one.
const PAUSE: Duration = Duration::from_millis(300);
/// Longest wait for deliveries to end before a handover.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for the other store to take over from one that ends.
const TAKEN_WITHIN: Duration = Duration::from_secs(8);
/// Pause before Cyrus is started again after it ended by itself, doubled each time.
const CRASHED: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// After a run of this length the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_mins(1);
/// A replica that has everything writes down this often that it does, in seconds.
const NOTED: u64 = 60;

/// See the module.
pub struct Keeper {
    shared: Shared,
    daemon: Daemon,
    leases: Slot,
    service: watch::Sender<Service>,
    drained: watch::Receiver<bool>,
    channel: Channel,
    sending: Option<AbortOnDropHandle<()>>,
    following: Option<Following>,
    /// No attempt before this, and the next pause.
    hold: (Duration, Duration),
    /// When a handover was asked for last.
    asked: Duration,
    /// When service began last.
    began: Duration,
}

impl Keeper {
    /// Of a store that does nothing yet.
    #[must_use]
    pub fn new(
        shared: Shared,
        daemon: Daemon,
        leases: Slot,
        service: watch::Sender<Service>,
        drained: watch::Receiver<bool>,
        trouble: mpsc::UnboundedReceiver<Trouble>,
    ) -> Self {
        Self {
            channel: Channel::new(trouble),
            shared,
            daemon,
            leases,
            service,
            drained,
            sending: None,
            following: None,
            hold: (Duration::ZERO, CRASHED.0),
            asked: Duration::ZERO,
            began: Duration::ZERO,
        }
    }

    /// Carries the role until `shutdown`, and then leaves it.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.shared.woken(PERIOD) => {}
            }
            self.notice_an_end().await;
            self.step().await;
        }
        self.leave().await;
    }

    async fn step(&mut self) {
        let view = self.shared.view();
        let decision = decide(&view, self.shared.timings());
        let lacking = matches!(decision, Decision::Wait(Wait::NotInSync));
        {
            let mut memory = self.shared.memory();
            memory.lacking = if lacking { memory.lacking.or(Some(clock::now())) } else { None };
        }
        match decision {
            Decision::Serve { in_sync, .. } => self.go_on(in_sync).await,
            Decision::Stop(why) => self.stop(why).await,
            Decision::HandOver => drop(self.hand_over(view.asked).await),
            Decision::Seed => self.seed(&view).await,
            Decision::Repair => self.repair().await,
            Decision::Follow => self.follow(&view).await,
            Decision::AskHandover => self.ask_for_the_place(&view).await,
            Decision::AskThroughLease => self.ask_through_lease(&view).await,
            Decision::Take { .. } => self.take().await,
            Decision::Wait(wait) => self.shared.say(words(wait)),
        }
    }

    /// Serving: registers whether the replica has everything.
    async fn go_on(&mut self, in_sync: bool) {
        let (alone, told, registered) = {
            let memory = self.shared.memory();
            let epoch = memory.record.disk.epoch;
            let lease = memory.fresh_lease(clock::now(), self.shared.timings());
            let told = memory.peer.beat.is_some_and(|(_, peer, _)| peer.told_in_sync == Some(epoch));
            let registered = lease.is_some_and(|it| it.read.lease.epoch == epoch && it.read.lease.in_sync);
            (memory.record.disk.alone, told, registered)
        };
        // Leaving is on the disk first; entering is known to both others first.
        let write = if in_sync { alone && told && registered } else { !alone };
        if write {
            let change = |record: Record| {
                let mut disk = record.disk;
                disk.alone = !in_sync;
                Record { disk, stale: record.stale.filter(|_| !in_sync), ..record }
            };
            if let Err(error) = self.shared.change(change).await {
                tracing::error!(%error, "it cannot be written whether the replica has everything");
            }
        }
        if clock::now().saturating_sub(self.began) > GOOD_RUN {
            self.hold.1 = CRASHED.0;
        }
        self.shared.say(if in_sync { String::new() } else { self.channel.words() });
    }

    /// Cyrus may have ended by itself.
    async fn notice_an_end(&mut self) {
        let wanted = self.service.borrow().epoch().is_some() || self.following.is_some();
        if self.daemon.mode().await.is_some() || !wanted {
            return;
        }
        if self.shared.memory().activity == Activity::Serving {
            self.hold = (clock::now() + self.hold.1, (self.hold.1 * 2).min(CRASHED.1));
            self.end_service(Service::Closed).await;
        } else if self.following.as_ref().is_some_and(Following::is_ready) {
            self.unfollow().await;
        }
    }

    /// Stops serving at once.
    async fn stop(&mut self, why: Stop) {
        tracing::warn!(?why, "this store stops serving");
        let seen = self.shared.view().seen();
        self.end_service(Service::Closed).await;
        if why == Stop::Superseded {
            let promised = |record: Record| Record { disk: record.disk.promised(seen), ..record };
            if let Err(error) = self.shared.change(promised).await {
                tracing::error!(%error, "a higher epoch cannot be written down");
            }
        }
        self.shared.say(format!("it stopped serving: {}", stopped_for(why)));
        self.release().await;
    }

    async fn end_service(&mut self, service: Service) {
        self.service.send_replace(service);
        self.sending = None;
        self.daemon.kill().await;
        self.shared.memory().stopped(clock::now());
        let mut words = self.shared.words();
        (words.lag, words.progress) = (None, None);
    }

    /// Writes to the Lease that this store serves no more.
    async fn release(&self) {
        let Some(leases) = self.leases.get() else { return };
        for _ in 0..3 {
            let Ok(read) = leases.read().await else { return };
            let standing = self.shared.memory().standing(clock::now());
            let Some(lease) = release(&standing, &read.lease) else { return };
            match leases.swap(&read, lease, self.shared.pods()).await {
                Ok(read) => return self.shared.memory().saw_lease(read, clock::now()),
                Err(LeaseError::Changed) => {}
                Err(error) => return tracing::warn!(%error, "the Lease cannot be released"),
            }
        }
    }

    /// Makes way: nothing new, everything to the replica, stop. `false`: it could not, and stays the better one.
    async fn hand_over(&mut self, asked: Option<Asked>) -> bool {
        let epoch = self.shared.memory().record.disk.epoch;
        tracing::info!(epoch = epoch.number(), ?asked, "this store hands over");
        self.service.send_replace(Service::Draining);
        let drained = self.drained.wait_for(|drained| *drained);
        if timeout(DRAINED_WITHIN, drained).await.is_err() {
            tracing::warn!("deliveries are under way that will come again");
        }
        self.end_service(Service::Closed).await;
        let pushed = async {
            self.daemon.point_tools_at_peer()?;
            replication::push_leftovers().await
        };
        let done = match pushed.await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the replica does not have everything, so this store stays");
                false
            }
        };
        {
            let mut memory = self.shared.memory();
            memory.yielded = done.then_some(epoch);
            if asked != Some(Asked::ByOrder) {
                memory.handed_over = Some(clock::now());
            }
        }
        self.shared.say("it handed over");
        self.release().await;
        done
    }

    /// An unseeded volume: the beginning of a shard, or a volume that was lost.
    async fn seed(&mut self, view: &View) {
        let holdings = self.shared.memory().holdings();
        if let Some(epoch) = founds(view, holdings) {
            return self.found(epoch).await;
        }
        if view.talking().is_some_and(|peer| peer.activity == Activity::Serving) {
            return self.follow(view).await;
        }
        self.shared.say(if holdings.mine && holdings.theirs {
            "both volumes of this shard hold mail, and on neither is written who was primary: put the right one's mail back alone"
        } else {
            "this volume holds nothing of the shard yet, and there is no primary to get it from"
        });
    }

    async fn found(&mut self, epoch: Epoch) {
        let (Some(leases), Some(read)) = (self.leases.get(), self.lease_read()) else { return };
        let sent = clock::now();
        match leases.swap(&read, Lease { epoch, ..Lease::NONE }, self.shared.pods()).await {
            Ok(read) => {
                self.shared.memory().saw_lease(read, clock::now());
                tracing::info!(epoch = epoch.number(), "a new shard begins");
                let founded = |record: Record| Record { disk: record.disk.founded(epoch), ..record };
                self.serve(epoch, sent, founded).await;
            }
            Err(error) => tracing::warn!(%error, "the shard cannot begin yet"),
        }
    }

    async fn repair(&mut self) {
        let words = self.shared.memory().gate.as_ref().map(|(_, words)| words.clone()).unwrap_or_default();
        self.shared.say(words);
        if self.following.as_ref().is_some_and(Following::is_ready) {
            self.unfollow().await;
        }
    }

    async fn follow(&mut self, view: &View) {
        let Some(primary) = view.talking() else { return };
        let epoch = primary.disk.epoch;
        if self.following.as_ref().is_some_and(|following| following.epoch == epoch) {
            return self.note_that_in_sync(epoch).await;
        }
        self.unfollow().await;
        tracing::info!(epoch = epoch.number(), "this store follows");
        self.following = Some(following::start(self.shared.clone(), self.daemon.clone(), epoch));
    }

    /// From when changes may be missing here is told by what was written last.
    async fn note_that_in_sync(&self, epoch: Epoch) {
        let (told, at) = {
            let memory = self.shared.memory();
            (memory.told == Some(epoch), memory.record.in_sync_at)
        };
        if told {
            self.shared.say("");
        }
        if told && clock::unix().abs_diff(at) >= NOTED {
            let noted = |record: Record| Record { in_sync_at: clock::unix(), ..record };
            if let Err(error) = self.shared.change(noted).await {
                tracing::warn!(%error, "it cannot be written down that this replica has everything");
            }
        }
    }

    /// Ends every process that takes what the primary sends.
    async fn unfollow(&mut self) {
        self.following = None;
        self.shared.memory().ready = None;
        self.shared.words().returning = false;
        self.daemon.kill().await;
    }

    async fn ask_for_the_place(&mut self, view: &View) {
        self.follow(view).await;
        let (peer, now) = (self.shared.peer(), clock::now());
        if now.saturating_sub(self.asked) > self.shared.timings().silence {
            self.asked = now;
            tracing::warn!("gateways reach this store and not the primary, which is asked to make way");
            let _: io::Result<()> = peer.ask("/ask", &(), VOTED_WITHIN).await;
        }
    }

    async fn ask_through_lease(&mut self, view: &View) {
        let (Some(leases), Some(read)) = (self.leases.get(), self.lease_read()) else { return };
        let lease = Lease { handover_to: Some(view.me.pod), ..read.lease };
        match leases.swap(&read, lease, self.shared.pods()).await {
            Ok(read) => self.shared.memory().saw_lease(read, clock::now()),
            Err(error) => tracing::warn!(%error, "the primary cannot be asked to make way"),
        }
    }

    /// Takes an epoch: promise, second vote, service.
    async fn take(&mut self) {
        if clock::now() < self.hold.0 {
            return;
        }
        let turn = self.shared.turn().await;
        let (view, read) = (self.shared.view(), self.lease_read());
        let Decision::Take { epoch, by, stale } = decide(&view, self.shared.timings()) else { return };
        let record = turn.record();
        if let Err(error) = turn.write(Record { disk: record.disk.promised(epoch), ..record }).await {
            return tracing::error!(%error, "no epoch can be promised");
        }
        tracing::info!(epoch = epoch.number(), ?by, stale, "this store asks for the second vote");
        self.shared.memory().activity = Activity::Attempting;
        self.unfollow().await;
        let sent = clock::now();
        if self.vote(by, epoch, stale, read).await {
            let span = StaleTakeover { from: record.in_sync_at, until: clock::unix() };
            let taken = move |record: Record| Record {
                disk: record.disk.taken(epoch),
                // It stands until the other disk has followed: what that one has is missing for as long.
                stale: if stale { Some(span) } else { record.stale },
                ..record
            };
            return self.serve(epoch, sent, taken).await;
        }
        self.shared.memory().activity = Activity::Stopped;
        let ordinal = u32::try_from(view.me.pod.ordinal()).unwrap_or_default();
        self.hold.0 = clock::now() + PAUSE * (ordinal + 1);
    }

    async fn vote(&self, by: SecondVote, epoch: Epoch, stale: bool, read: Option<Read>) -> bool {
        match by {
            SecondVote::Peer => {
                let peer = self.shared.peer();
                let request = VoteRequest { candidate: self.shared.beat(), epoch: epoch.number(), stale };
                match peer.ask::<VoteAnswer>("/vote", &request, VOTED_WITHIN).await {
                    Ok(answer) if answer.granted => true,
                    Ok(answer) => {
                        tracing::info!(why = answer.why, "the other store gives no vote");
                        false
                    }
                    Err(error) => {
                        tracing::info!(%error, "the other store does not vote");
                        false
                    }
                }
            }
            SecondVote::Lease => {
                let (Some(leases), Some(read)) = (self.leases.get(), read) else { return false };
                match leases.swap(&read, Lease { epoch, ..Lease::NONE }, self.shared.pods()).await {
                    Ok(read) => {
                        self.shared.memory().saw_lease(read, clock::now());
                        true
                    }
                    Err(error) => {
                        tracing::info!(%error, "the Lease is not this store's");
                        false
                    }
                }
            }
        }
    }

    /// Starts to serve `epoch`, which has its two votes: `sent` is when the second was asked for.
    async fn serve(&mut self, epoch: Epoch, sent: Duration, taken: impl FnOnce(Record) -> Record) {
        let turn = self.shared.turn().await;
        let record = turn.record();
        let founding = !record.disk.seeded;
        if !founding && !record.disk.still_attempts(epoch) {
            self.shared.memory().activity = Activity::Stopped;
            return tracing::info!("a later promise ends this attempt");
        }
        if let Err(error) = turn.write(taken(record)).await {
            self.shared.memory().activity = Activity::Stopped;
            return tracing::error!(%error, "an epoch that was won cannot be written down");
        }
        {
            let mut memory = self.shared.memory();
            memory.activity = Activity::Serving;
            memory.contact = sent;
            (memory.told, memory.yielded, memory.holds_mail) = (None, None, false);
            (memory.replicated, memory.asked, memory.ordered) = (false, false, false);
            memory.gate = None;
        }
        if let Err(error) = self.daemon.start(Mode::Primary).await {
            tracing::error!(%error, "Cyrus cannot be started");
            self.hold = (clock::now() + self.hold.1, (self.hold.1 * 2).min(CRASHED.1));
            return self.end_service(Service::Closed).await;
        }
        self.began = clock::now();
        self.channel.begin(epoch);
        self.service.send_replace(Service::Open(epoch));
        let sending = replication::run(self.shared.clone(), self.daemon.clone(), self.channel.clone(), epoch);
        self.sending = Some(AbortOnDropHandle::new(tokio::spawn(sending)));
        tracing::info!(epoch = epoch.number(), "this store serves");
    }

    fn lease_read(&self) -> Option<Read> {
        let memory = self.shared.memory();
        memory.fresh_lease(clock::now(), self.shared.timings()).map(|known| known.read.clone())
    }

    /// The pod ends: another store takes over, if it has everything; then Cyrus ends.
    async fn leave(&mut self) {
        self.shared.memory().ordered = true;
        let view = self.shared.view();
        if decide(&view, self.shared.timings()) == Decision::HandOver && self.hand_over(view.asked).await {
            let end = clock::now() + TAKEN_WITHIN;
            while clock::now() < end && !self.other_serves() {
                // Its vote may still be needed: the server goes on.
                sleep(PERIOD).await;
            }
            return;
        }
        let served = self.shared.memory().activity == Activity::Serving;
        self.service.send_replace(Service::Draining);
        if served {
            let drained = self.drained.wait_for(|drained| *drained);
            let _ = timeout(DRAINED_WITHIN, drained).await;
        }
        self.following = None;
        self.daemon.terminate(GRACE).await;
        self.service.send_replace(Service::Closed);
        self.sending = None;
        if served {
            self.shared.memory().stopped(clock::now());
            self.release().await;
        }
    }

    fn other_serves(&self) -> bool {
        self.shared.view().talking().is_some_and(|peer| peer.activity == Activity::Serving)
    }
}

fn words(wait: Wait) -> &'static str {
    match wait {
        Wait::Outdated => "the primary it sees is outdated and about to stop",
        Wait::PeerIsBetter => "the other store should serve",
        Wait::ApiAway => "neither the API server nor the other store answers, so there is no second vote",
        Wait::Unreached => "no gateway reaches this store",
        Wait::LeaseFresh => "the primary renewed its Lease not long ago",
        Wait::PeerHeard => "the primary was heard not long ago",
        Wait::NotInSync => {
            "acknowledged changes may be missing here: it serves after spec.store.failover.staleAfter, or when the other disk is declared lost"
        }
        Wait::TooOld => {
            "more is missing here than the journal still has: declare the other disk lost if it is"
        }
    }
}

fn stopped_for(why: Stop) -> &'static str {
    match why {
        Stop::NotMyDisk => "its volume is not the one that carries this epoch",
        Stop::Superseded => "the other store has, or asks for, a later epoch",
        Stop::GateFailed => "Cyrus or the disk failed for too long",
        Stop::Isolated => "neither the other store nor the API server answered",
        Stop::Unreached => "no gateway reaches it",
    }
}
