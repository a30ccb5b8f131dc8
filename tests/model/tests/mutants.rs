//! A checker that finds nothing may be blind. Each rule is taken away, and the search must then find a violation.

use std::time::Duration;

use mail_operator_model::{Backup, Fault, Mutant, Promise, Shard, check};

fn is_found(mutant: Mutant, promise: Promise, faults: &[Fault], budget: u8) {
    let mut shard = Shard::new(faults.to_vec(), budget, &[promise]);
    shard.mutant = Some(mutant);
    let report = check(shard, Duration::from_mins(30));
    assert!(!report.violated.is_empty(), "{mutant:?} goes unnoticed in {report}");
}

macro_rules! rules {
    ($($name:ident: $mutant:ident breaks $promise:ident with $budget:literal of [$($fault:expr),+];)*) => {
        $(#[test]
        fn $name() {
            use Fault::*;
            is_found(Mutant::$mutant, Promise::$promise, &[$($fault),+], $budget);
        })*
    };
}

rules! {
    an_empty_volume_never_serves_nor_votes:
        EmptyServes breaks EmptyIsNothing with 2 of [DiskLost(0), ApiRestored(Backup::OldReleased)];
    a_store_whose_disk_hangs_stops: NoGate breaks ServesIfItCan with 1 of [DiskHung(0)];
    a_lease_is_waited_for: NoLeaseExpiry breaks OnePrimary with 1 of [PeersCut];
    silence_is_waited_for: NoSilence breaks OnePrimary with 2 of [ApiCut(0), PeersCut];
    waiting_is_longer_than_fencing: NoMargin breaks OnePrimary with 2 of [Paused(0), SlowClock(0)];
    a_primary_without_contact_fences_itself: NoFencing breaks OnePrimary with 1 of [Isolated(0)];
    a_primary_yields_to_a_higher_number: NotSuperseded breaks Recovers with 2 of [Crash(0), PeersCut];
    two_that_talk_need_no_lease: NoPair breaks ServesIfItCan with 2 of [ApiDown, Crash(0)];
    an_old_stop_says_nothing_of_a_later_epoch:
        OldStopCounts breaks OnePrimary with 3 of [DiskHung(0), OneWayCut(1), LateBeat(1)];
    a_beat_from_before_the_lease_says_nothing_of_it:
        OldBeatCounts breaks OnePrimary with 3 of [DiskHung(0), OneWayCut(1), ApiRestored(Backup::Old)];
    an_attempt_is_no_stop: AttemptIsStop breaks OnePrimary with 2 of [Paused(0), LateBeat(0)];
    an_old_release_is_void: OldReleaseCounts breaks OnePrimary with 1 of [ApiRestored(Backup::OldReleased)];
    only_who_is_in_sync_takes_over_at_once: NotInSyncTakes breaks AloneStays with 2 of [PeersCut, NodeLost(0)];
    the_lease_must_say_in_sync: LeaseNotAsked breaks AloneStays with 2 of [OneWayCut(1), DiskHung(0)];
    a_primary_that_was_alone_is_not_passed_over:
        AloneNotAsked breaks AloneStays with 3 of [OneWayCut(1), DiskHung(0)];
    whoever_voted_follows_first: VoteForgotten breaks OnePrimary with 2 of [DiskHung(0), Isolated(1)];
    a_lease_older_than_the_disk_is_overwritten:
        OldLeaseObeyed breaks ServesIfItCan with 1 of [ApiRestored(Backup::Old)];
    an_unreached_primary_makes_way: NoHandover breaks ServesIfItCan with 1 of [GatewaysCut(0)];
    in_sync_does_not_outlive_a_restart:
        ToldOutlivesRestart breaks AloneStays with 3 of [NodeLost(1), NodeLost(0), ApiRestored(Backup::Now)];
    a_promise_does_not_hide_a_vote: PromiseHidesVote breaks OnePrimary with 2 of [DiskHung(0), Isolated(1)];
    a_vote_restarts_the_silence: VoteKeepsSilence breaks OnePrimary with 2 of [Switchover(0), Isolated(1)];
    a_vote_ends_the_voters_attempt: VoteKeepsAttempt breaks OnePrimary with 2 of [DiskHung(0), Crash(1)];
    the_lease_is_swapped_only_as_it_was_read: BlindSwap breaks OnePrimary with 1 of [Isolated(0)];
    no_epoch_is_resumed: ResumeEpoch breaks OnePrimary with 1 of [Crash(0)];
    a_watchdog_stops_cyrus_when_the_agent_hangs: NoWatchdog breaks OnePrimary with 1 of [Paused(0)];
    a_beat_says_whether_its_sender_serves: BeatsSayNothing breaks ServesIfItCan with 2 of [ApiCut(0), OneWayCut(1)];
}
