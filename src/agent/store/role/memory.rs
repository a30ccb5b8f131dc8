//! What the agent knows at a moment, and how that becomes the [`View`] that is decided on. No IO, no clock: the time comes
//! in with each call, and everything is forgotten with the process but the [`Record`].

use std::time::Duration;

use super::{
    beat::{Beat, Channel},
    lease::{Orders, Read},
    volume::Record,
};
use crate::failover::{
    Activity, Asked, Epoch, Holdings, Peer, Pod, Seen, Stale, Standing, Timings, View, refuses,
};

/// Beats are missed this often before the peer counts as not heard.
const MISSED: u32 = 3;
/// Runs of the peer that are over: their beats are not believed any more.
const FORMER_RUNS: usize = 32;

/// See the module. Times are of `CLOCK_BOOTTIME`.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is known or not, whatever the others are")]
pub struct Memory {
    /// Which pod.
    pub pod: Pod,
    /// What is on the disk.
    pub record: Record,
    /// What it does.
    pub activity: Activity,
    /// While serving: when that was sent which was answered last.
    pub contact: Duration,
    /// Since when the disk or Cyrus has been failing, and how.
    pub gate: Option<(Duration, String)>,
    /// When a gateway's probe was answered last.
    pub probed: Option<Duration>,
    /// The epoch whose primary said that this replica has everything.
    pub told: Option<Epoch>,
    /// The epoch that was handed over.
    pub yielded: Option<Epoch>,
    /// As primary: the replica has everything.
    pub replicated: bool,
    /// As replica: Cyrus takes what the primary of this epoch sends.
    pub ready: Option<Epoch>,
    /// There is mail on a volume without a role.
    pub holds_mail: bool,
    /// Somebody ordered a switchover.
    pub ordered: bool,
    /// The peer asked this primary to make way.
    pub asked: bool,
    /// When the last handover was that nobody ordered.
    pub handed_over: Option<Duration>,
    /// Since when only missing changes keep this store from serving.
    pub lacking: Option<Duration>,
    /// When staleness may be accepted without anybody's word.
    pub stale_after: Option<Duration>,
    /// What was accepted within this time is in the journal; [`Duration::MAX`] if nothing is deleted from it, or nothing
    /// could make up for what is missing anyway.
    pub retention: Duration,
    /// What is known of the other store.
    pub peer: PeerMemory,
    /// The Lease as it was read last.
    pub lease: Option<LeaseMemory>,
}

/// What is known of the other store.
#[derive(Clone, Debug)]
pub struct PeerMemory {
    /// Its last beat, and when it came.
    pub beat: Option<(Beat, Standing, Duration)>,
    /// When an answer to a beat of ours came last.
    pub answered: Option<Duration>,
    /// Since when no serving beat came.
    pub silent_from: Duration,
    /// How long ago a gateway says that it was answered, and when the gateway said so.
    pub probed: Option<(Duration, Duration)>,
    former_runs: Vec<u64>,
}

/// A Lease, and since when it has been as it is.
#[derive(Clone, Debug)]
pub struct LeaseMemory {
    /// What was read.
    pub read: Read,
    /// When this version was read first.
    pub since: Duration,
    /// When it was read last.
    pub at: Duration,
}

impl Memory {
    /// Of an agent that starts at `now`.
    #[must_use]
    pub fn new(pod: Pod, record: Record, now: Duration) -> Self {
        let peer = PeerMemory {
            beat: None,
            answered: None,
            silent_from: now,
            probed: None,
            former_runs: Vec::new(),
        };
        Self {
            pod,
            record,
            activity: Activity::Stopped,
            contact: now,
            gate: None,
            probed: None,
            told: None,
            yielded: None,
            replicated: false,
            ready: None,
            holds_mail: false,
            ordered: false,
            asked: false,
            handed_over: None,
            lacking: None,
            stale_after: None,
            retention: Duration::MAX,
            peer,
            lease: None,
        }
    }

    /// What this store says of itself.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        let failing =
            |(since, _): &(Duration, String)| now.saturating_sub(*since).max(Duration::from_millis(1));
        Standing {
            pod: self.pod,
            disk: self.record.disk,
            activity: self.activity,
            gate_failing: self.gate.as_ref().map_or(Duration::ZERO, failing),
            unprobed: self.probed.map_or(Duration::MAX, |at| now.saturating_sub(at)),
            told_in_sync: self.told,
            yielded: self.yielded,
        }
    }

    /// What it says of the channel.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let disk = self.record.disk;
        Channel {
            in_sync: self.replicated,
            ready: self.ready.map(Epoch::number),
            compare: !disk.seeded || self.ready != Some(disk.epoch),
            holds_mail: self.holds_mail,
        }
    }

    /// All that a decision depends on.
    #[must_use]
    pub fn view(&self, now: Duration, unix: u64, timings: &Timings) -> View {
        let since = |at: Duration| now.saturating_sub(at);
        let lease = self.fresh_lease(now, timings);
        let orders = lease.map_or(Orders::default(), |known| known.read.orders);
        let declared = orders.lost == Some(self.pod.other());
        View {
            me: self.standing(now),
            contact: since(self.contact),
            replicated: self.replicated,
            lease: lease.map(|known| Seen { lease: known.read.lease, unchanged: since(known.since) }),
            peer: self.peer.view(now, timings),
            asked: match (self.ordered || orders.switchover, self.asked) {
                (true, _) => Some(Asked::ByOrder),
                (false, true) => Some(Asked::ByPeer),
                (false, false) => None,
            },
            since_handover: self.handed_over.map_or(Duration::MAX, since),
            stale: Stale {
                after: self.stale_after,
                waited: self.lacking.map_or(Duration::ZERO, since),
                declared,
                behind: Duration::from_secs(unix.saturating_sub(self.record.in_sync_at)),
                retention: self.retention,
            },
        }
    }

    /// Which volumes hold mail without a role.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let theirs = self.peer.beat.is_some_and(|(beat, ..)| beat.channel.holds_mail);
        Holdings { mine: self.holds_mail, theirs }
    }

    /// Somebody has served the shard, or may have: the Lease was taken, was not read yet, or this volume is seeded.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let taken = self.lease.as_ref().is_none_or(|known| known.read.lease.epoch != Epoch::NONE);
        taken || self.record.disk.seeded
    }

    /// The Lease, if the API server answers.
    #[must_use]
    pub fn fresh_lease(&self, now: Duration, timings: &Timings) -> Option<&LeaseMemory> {
        self.lease.as_ref().filter(|known| now.saturating_sub(known.at) < 2 * timings.renewal)
    }

    /// Takes what was read of the Lease, by a request that was answered at `now`.
    pub fn saw_lease(&mut self, read: Read, now: Duration) {
        let same = self.lease.as_ref().filter(|known| known.read.version() == read.version());
        let since = same.map_or(now, |known| known.since);
        self.lease = Some(LeaseMemory { read, since, at: now });
    }

    /// Takes a beat that came at `now`; `false` if it is older than one that came before, and is thrown away.
    pub fn heard(&mut self, beat: Beat, now: Duration, answer: bool) -> bool {
        let Ok(standing) = beat.standing() else { return false };
        if standing.pod == self.pod || !self.peer.is_news(&beat) {
            return false;
        }
        let serving = standing.activity == Activity::Serving;
        if serving && !refuses(&self.record.disk, standing.disk.epoch) {
            self.peer.silent_from = now;
            if !beat.channel.in_sync && self.told == Some(standing.disk.epoch) {
                self.told = None;
            }
        }
        self.peer.take(beat, standing, now);
        if answer {
            self.peer.answered = Some(now);
        }
        true
    }

    /// It stops serving, or never did: silence starts anew.
    pub fn stopped(&mut self, now: Duration) {
        self.activity = Activity::Stopped;
        self.peer.silent_from = now;
        self.replicated = false;
        self.asked = false;
        self.ordered = false;
    }
}

impl PeerMemory {
    /// A beat of a run that is over, or one that was overtaken, is none.
    fn is_news(&self, beat: &Beat) -> bool {
        match &self.beat {
            Some((last, ..)) if last.run == beat.run => last.number < beat.number,
            _ => !self.former_runs.contains(&beat.run),
        }
    }

    fn take(&mut self, beat: Beat, standing: Standing, now: Duration) {
        if let Some((last, ..)) = self.beat.filter(|(last, ..)| last.run != beat.run) {
            self.former_runs.push(last.run);
            if self.former_runs.len() > FORMER_RUNS {
                self.former_runs.remove(0);
            }
        }
        self.beat = Some((beat, standing, now));
    }

    fn view(&self, now: Duration, timings: &Timings) -> Peer {
        let since = |at: Duration| now.saturating_sub(at);
        let lately = |at: Duration| since(at) < MISSED * timings.beat;
        let said = self.beat.map(|(_, standing, at)| standing.unprobed.saturating_add(since(at)));
        let seen = self.probed.map(|(ago, at)| ago.saturating_add(since(at)));
        Peer {
            heard: self.beat.filter(|(.., at)| lately(*at)).map(|(_, standing, _)| standing),
            since_heard: self.beat.map_or(Duration::MAX, |(.., at)| since(at)),
            talks: self.answered.is_some_and(lately) && self.beat.is_some_and(|(.., at)| lately(at)),
            silence: since(self.silent_from),
            unprobed: said.into_iter().chain(seen).min().unwrap_or(Duration::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::{Disk, Lease, Periods};

    const START: Duration = Duration::from_secs(100);

    fn timings() -> Timings {
        Timings::new(Periods::default()).unwrap()
    }

    fn epoch(number: u64) -> Epoch {
        Epoch::from_number(number).unwrap()
    }

    fn at(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn replica() -> Memory {
        let record = Record { disk: Disk::EMPTY.followed(epoch(4)), in_sync_at: 0, stale: None };
        Memory::new(Pod::Odd, record, START)
    }

    fn primary_says(in_sync: bool, number: u64, run: u64) -> Beat {
        let mut primary = Memory::new(Pod::Even, replica().record, START);
        primary.record.disk = Disk::EMPTY.founded(epoch(4));
        primary.activity = Activity::Serving;
        primary.replicated = in_sync;
        Beat::of(&primary.standing(START), primary.channel(), (run, number))
    }

    #[test]
    fn a_primary_is_heard_for_three_beats_and_silence_is_counted_from_its_last() {
        let mut memory = replica();
        assert!(memory.heard(primary_says(true, 1, 7), at(1), true));
        let view = |memory: &Memory, now| memory.view(now, 0, &timings());
        let early = view(&memory, at(3));
        assert!(early.peer.talks && early.peer.heard.is_some());
        assert_eq!(early.peer.silence, Duration::from_secs(2));
        let late = view(&memory, at(4));
        assert!(!late.peer.talks && late.peer.heard.is_none());
        assert_eq!(late.peer.since_heard, Duration::from_secs(3));
    }

    #[test]
    fn beats_that_were_overtaken_or_of_a_run_that_is_over_say_nothing() {
        let mut memory = replica();
        for (run, number, news) in
            [(7, 2, true), (7, 1, false), (7, 2, false), (8, 1, true), (7, 9, false), (8, 2, true)]
        {
            assert_eq!(memory.heard(primary_says(true, number, run), at(1), false), news, "{run} {number}");
        }
        let mine = Beat::of(&memory.standing(START), memory.channel(), (9, 1));
        assert!(!memory.heard(mine, at(1), false), "one's own, come back");
    }

    #[test]
    fn who_is_told_to_lack_something_is_not_in_sync_any_more() {
        let mut memory = replica();
        memory.told = Some(epoch(4));
        memory.heard(primary_says(true, 1, 7), at(1), false);
        assert!(memory.standing(at(1)).in_sync());
        memory.heard(primary_says(false, 2, 7), at(1), false);
        assert!(!memory.standing(at(1)).in_sync());
    }

    #[test]
    fn a_refused_primary_is_silent() {
        let mut memory = replica();
        memory.record.disk = memory.record.disk.promised(epoch(5));
        memory.heard(primary_says(true, 1, 7), at(5), false);
        assert_eq!(memory.view(at(6), 0, &timings()).peer.silence, Duration::from_secs(6));
    }

    #[test]
    fn who_was_never_probed_is_unreached() {
        let mut memory = replica();
        assert!(!memory.standing(START).probed(&timings()));
        memory.probed = Some(at(1));
        assert!(memory.standing(at(2)).probed(&timings()));
        memory.peer.probed = Some((Duration::from_secs(1), at(1)));
        assert_eq!(memory.view(at(3), 0, &timings()).peer.unprobed, Duration::from_secs(3));
    }
    #[test]
    fn a_shard_has_begun_unless_its_lease_was_never_taken_and_the_volume_is_empty() {
        let new = Record { disk: Disk::EMPTY, in_sync_at: 0, stale: None };
        let mut memory = Memory::new(Pod::Odd, new, START);
        assert!(memory.has_begun(), "it may have");
        memory.saw_lease(Read::of(Lease::NONE), START);
        assert!(!memory.has_begun());
        memory.saw_lease(Read::of(Lease { epoch: epoch(2), ..Lease::NONE }), START);
        assert!(memory.has_begun(), "this volume was lost");
        let mut memory = replica();
        memory.saw_lease(Read::of(Lease::NONE), START);
        assert!(memory.has_begun(), "the API server was restored from a backup");
    }
}
