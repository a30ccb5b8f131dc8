//! What a store's agent sees at one moment: all that the decision may depend on.

use std::time::Duration;

use super::{
    disk::Disk,
    epoch::{Epoch, Pod},
    timings::Timings,
};

/// The shard's Lease. Each change is a compare-and-swap on the resourceVersion that the decision read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The epoch; its parity names the holder.
    pub epoch: Epoch,
    /// The holder registered that the other disk has everything.
    pub in_sync: bool,
    /// The holder has stopped serving this epoch, and will not resume it.
    pub released: bool,
    /// Somebody whom the holder cannot hear asks it to make way for this pod.
    pub handover_to: Option<Pod>,
}

impl Lease {
    /// A Lease that is not there.
    pub const NONE: Self = Self { epoch: Epoch::NONE, in_sync: false, released: false, handover_to: None };

    /// Whose epoch it is.
    #[must_use]
    pub const fn holder(&self) -> Pod {
        self.epoch.pod()
    }
}

/// A Lease as one agent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// What a quorum read gave.
    pub lease: Lease,
    /// How long this very version has been seen by this process, from the receipt of the first answer, on
    /// `CLOCK_BOOTTIME`. Times written in the Lease are never compared with a clock.
    pub unchanged: Duration,
}

/// What a store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Cyrus runs as primary.
    Serving,
    /// It promised an epoch and waits for the second vote.
    Attempting,
    /// Neither: it follows, waits, or is new.
    Stopped,
}

/// What a store says of itself: the content of its beats, of its answers to them, and of its requests for a vote.
/// Beats are numbered; one that arrives after a later one is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Which pod.
    pub pod: Pod,
    /// What its disk says.
    pub disk: Disk,
    /// What it does.
    pub activity: Activity,
    /// How long its protocol probe or its fsync has been failing; zero: it works.
    pub gate_failing: Duration,
    /// Since a gateway's probe was answered last.
    pub unprobed: Duration,
    /// The epoch whose primary told this replica that it has everything. In memory only: a restart forgets it, because
    /// the primary may have gone on alone meanwhile.
    pub told_in_sync: Option<Epoch>,
    /// The epoch it served and handed over: it stays behind until somebody took another.
    pub yielded: Option<Epoch>,
}

impl Standing {
    /// A gateway reaches it.
    #[must_use]
    pub fn probed(&self, timings: &Timings) -> bool {
        self.unprobed < timings.silence
    }

    /// It was told to be in sync by the primary of the very epoch on its disk.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.told_in_sync == Some(self.disk.epoch)
    }

    /// It made way in the very epoch on its disk.
    #[must_use]
    pub fn yields(&self) -> bool {
        self.yielded == Some(self.disk.epoch)
    }
}

/// What is known of the other store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its last beat or answer, unless it is older than two beats.
    pub heard: Option<Standing>,
    /// Since that beat came.
    pub since_heard: Duration,
    /// A round trip succeeded within two beats.
    pub talks: bool,
    /// Since a beat of it as serving came whose epoch is not below one's own promise. Starts anew when the agent
    /// starts, when it stops serving, and when it votes.
    pub silence: Duration,
    /// Since a gateway's probe of it was answered, as its beats say or as gateways tell that probe this store.
    pub unprobed: Duration,
}

/// Who asked a primary to make way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// The other store, because gateways reach it and not the primary.
    ByPeer,
    /// An administrator, or an upgrade.
    ByOrder,
}

/// When a store that may lack acknowledged changes takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stale {
    /// After waiting so long for the other; `None`: never by itself.
    pub after: Option<Duration>,
    /// How long this store has waited, able to serve but for this.
    pub waited: Duration,
    /// An administrator declared the other disk gone.
    pub declared: bool,
    /// How long ago this disk was last in sync: what the journal must bridge.
    pub behind: Duration,
    /// How long the journal keeps mail.
    pub retention: Duration,
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// This store.
    pub me: Standing,
    /// While serving: since the *sending* of the last beat or renewal that was answered, and not by a refusal.
    pub contact: Duration,
    /// While serving: the other disk has everything. The synchronous channel is armed, it failed on nothing since, and
    /// the rolling log is empty.
    pub replicated: bool,
    /// The Lease, if the API server answers.
    pub lease: Option<Seen>,
    /// The other store.
    pub peer: Peer,
    /// A request to make way, other than by the Lease.
    pub asked: Option<Asked>,
    /// Since the last handover that nobody ordered.
    pub since_handover: Duration,
    /// The rule for a store that may lack changes.
    pub stale: Stale,
}

impl View {
    /// The other store, if it can be talked to.
    #[must_use]
    pub fn talking(&self) -> Option<&Standing> {
        self.peer.heard.as_ref().filter(|_| self.peer.talks)
    }

    /// The highest number seen anywhere. A primary that was superseded promises it, so that a restart remembers.
    #[must_use]
    pub fn seen(&self) -> Epoch {
        let lease = self.lease.map_or(Epoch::NONE, |seen| seen.lease.epoch);
        let peer = self.peer.heard.map_or(Epoch::NONE, |peer| peer.disk.seen());
        self.me.disk.seen().max(lease).max(peer)
    }

    /// This store's next epoch: above everything seen.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        Epoch::next(self.me.pod, [self.seen()])
    }
}
