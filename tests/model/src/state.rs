//! What the world consists of, and how a store's agent sees it.

use std::time::Duration;

use crate::failover::{
    Activity, Asked, Decision, Disk, Epoch, Lease, Peer, Periods, SecondVote, Seen, Stale, Standing, Timings,
    View, decide,
};
use crate::{Mutant, user::Change};

/// One tick.
pub const TICK: Duration = Duration::from_secs(3);
/// Counters of ticks stop here: beyond the longest period nothing changes any more.
pub const TICKS: u8 = 3;

/// What runs of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Run {
    Up,
    /// The pod restarts by itself.
    Down,
    /// The node is lost, the disk kept.
    Gone,
    /// The agent is stopped; Cyrus and the watchdog go on.
    Paused,
}

/// An attempt at an epoch: the promise is on the disk, the second vote is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub epoch: Epoch,
    pub by: SecondVote,
    pub stale: bool,
    /// The Lease is still the version that the decision read.
    pub current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    pub disk: Disk,
    pub change: bool,
    /// Cyrus's log: the change was made here and is not at the peer yet.
    pub log: bool,
    pub run: Run,
    pub hung: bool,
    /// Its clock has already been slow by one tick: the margin covers one.
    pub slowed: bool,
    pub serving: bool,
    pub attempt: Option<Attempt>,
    pub told: Option<Epoch>,
    pub yielded: Option<Epoch>,
    /// Ticks since contact, while serving.
    pub contact: u8,
    /// Ticks since a serving peer was heard.
    pub silence: u8,
    pub heard: Option<Standing>,
    /// It came after the Lease's last change.
    pub heard_since_lease: bool,
    pub talks: bool,
}

/// When a backup of the API server was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backup {
    /// As the search begins.
    Now,
    /// In an epoch that has ended.
    Old,
    /// After that epoch.
    OldReleased,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub stores: [Store; 2],
    pub lease: Lease,
    pub lease_age: u8,
    pub change: Change,
    pub api: bool,
    /// The link of each store to the API server.
    pub api_link: [bool; 2],
    /// The link by which the store of this index sends to the other.
    pub link: [bool; 2],
    /// Gateways reach it.
    pub gateways: [bool; 2],
    pub faults_left: u8,
}

pub fn timings() -> Timings {
    Timings::new(Periods::default()).expect("the defaults are safe")
}

pub fn epoch(number: u64) -> Epoch {
    Epoch::from_number(number).expect("small")
}

impl World {
    /// A healthy shard: the even store serves, the odd one is in sync.
    pub fn healthy(faults_left: u8) -> Self {
        let now = epoch(4);
        let store = |primary: bool| Store {
            disk: Disk { primary, ..Disk::EMPTY.followed(now) },
            change: false,
            log: false,
            run: Run::Up,
            hung: false,
            slowed: false,
            serving: primary,
            attempt: None,
            told: (!primary).then_some(now),
            yielded: None,
            contact: 0,
            silence: 0,
            heard: None,
            heard_since_lease: false,
            talks: false,
        };
        Self {
            stores: [store(true), store(false)],
            lease: Self::backup(Backup::Now),
            lease_age: 0,
            change: Change::None,
            api: true,
            api_link: [true; 2],
            link: [true; 2],
            gateways: [true; 2],
            faults_left,
        }
    }

    /// The Lease as a backup has it.
    pub fn backup(of: Backup) -> Lease {
        let epoch = epoch(if of == Backup::Now { 4 } else { 2 });
        Lease { epoch, in_sync: true, released: of == Backup::OldReleased, handover_to: None }
    }

    pub fn up(&self, i: usize) -> bool {
        self.stores[i].run == Run::Up
    }

    /// Cyrus runs as primary, whatever its agent does.
    pub fn serves(&self, i: usize) -> bool {
        self.stores[i].serving
    }

    pub fn reaches_api(&self, i: usize) -> bool {
        self.api && self.api_link[i] && self.up(i)
    }

    pub fn reaches_peer(&self, i: usize) -> bool {
        self.up(i) && self.up(1 - i) && self.link[i]
    }

    pub fn talk(&self) -> bool {
        self.reaches_peer(0) && self.reaches_peer(1)
    }

    /// The replica `r` follows the primary, epoch by epoch: Cyrus's channel needs both directions and both disks.
    pub fn follows(&self, r: usize) -> bool {
        let (replica, primary) = (&self.stores[r], &self.stores[1 - r]);
        self.talk()
            && primary.serving
            && !replica.serving
            && !replica.hung
            && !primary.hung
            && replica.disk.seeded
            && replica.disk.epoch == primary.disk.epoch
            && replica.disk.promise <= primary.disk.epoch
    }

    pub fn standing(&self, i: usize) -> Standing {
        let store = &self.stores[i];
        Standing {
            pod: crate::failover::Pod::BOTH[i],
            disk: store.disk,
            activity: match (store.serving, store.attempt) {
                (true, _) => Activity::Serving,
                (false, Some(_)) => Activity::Attempting,
                (false, None) => Activity::Stopped,
            },
            gate_failing: if store.hung { 2 * TICK } else { Duration::ZERO },
            unprobed: self.unprobed(i),
            told_in_sync: store.told,
            yielded: store.yielded,
        }
    }

    fn unprobed(&self, i: usize) -> Duration {
        if self.gateways[i] && self.up(i) { Duration::ZERO } else { u32::from(TICKS) * TICK }
    }

    pub fn view(&self, i: usize) -> View {
        let store = &self.stores[i];
        let ticks = |n: u8| u32::from(n) * TICK;
        View {
            me: self.standing(i),
            contact: ticks(store.contact),
            replicated: self.follows(1 - i) && !store.log,
            lease: self
                .reaches_api(i)
                .then_some(Seen { lease: self.lease, unchanged: ticks(self.lease_age) }),
            peer: Peer {
                heard: store.heard,
                since_heard: if store.heard_since_lease {
                    Duration::ZERO
                } else {
                    ticks(self.lease_age) + TICK / 3
                },
                talks: store.talks,
                silence: ticks(store.silence),
                unprobed: self.unprobed(1 - i),
            },
            asked: None,
            since_handover: Duration::MAX,
            stale: Stale {
                after: None,
                waited: Duration::ZERO,
                declared: false,
                behind: Duration::ZERO,
                retention: Duration::MAX,
            },
        }
    }

    pub fn decide(&self, i: usize, asked: Option<Asked>, declared: bool, mutant: Option<Mutant>) -> Decision {
        let mut view = self.view(i);
        view.asked = asked;
        view.stale.declared = declared;
        Mutant::bend(mutant, &mut view);
        Mutant::twist(mutant, &view, decide(&view, &timings()))
    }

    /// Cyrus is gone.
    pub fn stop(&mut self, i: usize) {
        let store = &mut self.stores[i];
        store.serving = false;
        store.contact = 0;
        store.silence = 0;
    }

    /// The pod is gone, with all that only memory had.
    pub fn crash(&mut self, i: usize, to: Run, mutant: Option<Mutant>) {
        self.stop(i);
        let store = &mut self.stores[i];
        store.run = to;
        store.attempt = None;
        store.yielded = None;
        store.heard = None;
        store.heard_since_lease = false;
        store.talks = false;
        if mutant != Some(Mutant::ToldOutlivesRestart) {
            store.told = None;
        }
    }

    /// The Lease was written by `by` (nobody's attempt: a backup).
    pub fn lease_written(&mut self, lease: Lease, by: Option<usize>) {
        self.lease = lease;
        self.lease_age = 0;
        for (i, store) in self.stores.iter_mut().enumerate() {
            store.heard_since_lease = false;
            if let Some(attempt) = store.attempt.as_mut().filter(|_| by != Some(i)) {
                attempt.current = false;
            }
        }
    }
}
