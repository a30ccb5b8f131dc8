//! Every combination of what a view can say, as far as rules tell values apart: below, at and above each period; each order
//! of the epochs; each state of the peer.

use std::time::Duration;

use super::*;

const NO: Duration = Duration::ZERO;

fn just_below(period: Duration) -> Duration {
    period.saturating_sub(Duration::from_nanos(1))
}

fn timings() -> Timings {
    Timings::new(Periods::default()).unwrap()
}

fn epoch(number: u64) -> Epoch {
    Epoch::from_number(number).unwrap()
}

/// The even store, which knows epoch 6, for each combination.
fn each_me(visit: &mut impl FnMut(Standing)) {
    let t = timings();
    for bits in 0..64_u32 {
        let bit = |n: u32| bits & (1 << n) != 0;
        // What cannot serve at all need not be tried with everything else.
        let sound = bit(0) && !bit(3);
        if !sound && bits & !0b1001 != 0 {
            continue;
        }
        let primary = bit(1);
        let known = if primary { epoch(6) } else { epoch(7) };
        for (promise, vote) in [(0, 0), (8, 0), (9, 9), (10, 9)] {
            visit(Standing {
                pod: Pod::Even,
                disk: Disk {
                    seeded: bit(0),
                    epoch: known,
                    primary,
                    alone: primary && bit(2),
                    promise: known.max(epoch(promise)),
                    vote: epoch(vote),
                },
                activity: Activity::Stopped,
                gate_failing: if bit(3) { t.gate } else { NO },
                unprobed: if bit(4) { t.silence } else { NO },
                told_in_sync: bit(5).then_some(known),
                yielded: None,
            });
        }
    }
}

fn each_peer(visit: &mut impl FnMut(Option<Standing>)) {
    let t = timings();
    visit(None);
    for bits in 0..64_u32 {
        let bit = |n: u32| bits & (1 << n) != 0;
        for (number, promise) in [(5, 5), (7, 7), (7, 9), (9, 9)] {
            for activity in [Activity::Serving, Activity::Attempting, Activity::Stopped] {
                visit(Some(Standing {
                    pod: Pod::Odd,
                    disk: Disk {
                        seeded: bit(0),
                        epoch: epoch(number),
                        primary: bit(1),
                        alone: bit(2),
                        promise: epoch(promise),
                        vote: Epoch::NONE,
                    },
                    activity,
                    gate_failing: if bit(3) { t.gate } else { NO },
                    unprobed: if bit(4) { t.silence } else { NO },
                    told_in_sync: bit(5).then(|| epoch(number)),
                    yielded: None,
                }));
            }
        }
    }
}

fn each_lease(visit: &mut impl FnMut(Option<Seen>)) {
    let t = timings();
    visit(None);
    for bits in 0..16_u32 {
        let bit = |n: u32| bits & (1 << n) != 0;
        for number in [5, 6, 7, 8, 9] {
            let handover_to = bit(2).then_some(Pod::Even);
            let lease = Lease { epoch: epoch(number), in_sync: bit(0), released: bit(1), handover_to };
            visit(Some(Seen { lease, unchanged: if bit(3) { t.lease } else { just_below(t.lease) } }));
        }
    }
}

fn view(me: Standing, heard: Option<Standing>, lease: Option<Seen>) -> View {
    View {
        me,
        contact: NO,
        replicated: false,
        lease,
        peer: Peer { heard, since_heard: NO, talks: heard.is_some(), silence: NO, unprobed: NO },
        asked: None,
        since_handover: Duration::MAX,
        stale: Stale { after: None, waited: NO, declared: false, behind: NO, retention: Duration::MAX },
    }
}

/// Every combination; the peer is talked to, or only heard, and silent or not.
fn each_view(visit: &mut impl FnMut(&View)) {
    let t = timings();
    each_me(&mut |me| {
        each_peer(&mut |heard| {
            each_lease(&mut |lease| {
                for (talks, silent) in [(true, false), (false, false), (false, true)] {
                    let mut view = view(me, heard, lease);
                    view.peer.talks = talks && heard.is_some();
                    view.peer.silence = if silent { t.silence } else { just_below(t.silence) };
                    view.peer.unprobed = heard.map_or(NO, |peer| peer.unprobed);
                    visit(&view);
                }
            });
        });
    });
}

fn taken(view: &View) -> Option<(Epoch, SecondVote, bool)> {
    match decide(view, &timings()) {
        Decision::Take { epoch, by, stale } => Some((epoch, by, stale)),
        _ => None,
    }
}

#[test]
fn whoever_takes_an_epoch_is_seeded_sound_and_certain_that_the_other_does_not_serve() {
    let t = timings();
    let mut takes = 0;
    each_view(&mut |view| {
        let Some((number, by, stale)) = taken(view) else { return };
        takes += 1;
        let (me, peer) = (&view.me, view.peer.heard);
        assert!(!stale, "nobody allowed it: {view:?}");
        assert!(me.disk.seeded && me.gate_failing.is_zero(), "{view:?}");
        assert!(number > view.seen() && number.pod() == me.pod, "{view:?}");
        assert!(
            !(view.peer.talks && peer.is_some_and(|p| p.activity == Activity::Serving)),
            "it hears one: {view:?}"
        );
        match by {
            SecondVote::Peer => assert!(view.talking().is_some_and(|p| p.disk.seeded), "no voter: {view:?}"),
            SecondVote::Lease => {
                let seen = view.lease.unwrap();
                let expired = seen.unchanged >= t.lease && view.peer.silence >= t.silence;
                let stopped = peer.is_some_and(|p| p.activity == Activity::Stopped);
                assert!(expired || stopped || seen.lease.released, "the other may serve: {view:?}");
                assert!(me.probed(&t), "it would serve nobody: {view:?}");
                assert!(
                    me.disk.vote <= me.disk.epoch,
                    "the other may have served what it voted for: {view:?}"
                );
                assert!(me.disk.epoch >= seen.lease.epoch, "it never had that epoch: {view:?}");
                assert!(
                    me.disk.primary || (me.in_sync() && seen.lease.in_sync),
                    "changes may be missing: {view:?}"
                );
            }
        }
    });
    assert!(takes > 1000, "the table is not only made of refusals: {takes}");
}

#[test]
fn two_that_talk_never_both_think_that_they_should_serve() {
    let t = timings();
    each_me(&mut |me| {
        each_peer(&mut |peer| {
            let Some(peer) = peer.filter(|p| p.activity != Activity::Serving) else { return };
            for stale in [false, true] {
                assert_eq!(best(&me, &peer, stale, &t), best(&peer, &me, stale, &t));
            }
            let pick = best(&me, &peer, false, &t);
            let chosen = pick.map(|pod| if pod == me.pod { (me, peer) } else { (peer, me) });
            assert!(chosen.is_none_or(|(x, other)| {
                x.disk.seeded && x.gate_failing.is_zero() && x.disk.epoch >= other.disk.epoch
            }));
        });
    });
}

#[test]
fn a_vote_is_given_by_seeded_stopped_stores_to_the_better_one_for_a_number_above_all_seen() {
    let t = timings();
    let mut given = 0;
    each_me(&mut |me| {
        each_peer(&mut |peer| {
            let Some(candidate) = peer else { return };
            for activity in [Activity::Serving, Activity::Attempting, Activity::Stopped] {
                for (number, stale) in [(7, false), (9, false), (11, false), (11, true), (12, false)] {
                    let me = Standing { activity, ..me };
                    let ballot = Ballot { candidate, epoch: epoch(number), stale };
                    let Ok(disk) = vote(&view(me, None, None), &ballot, &t) else { continue };
                    given += 1;
                    assert!(me.disk.seeded && activity != Activity::Serving);
                    assert!(ballot.epoch > me.disk.seen() && ballot.epoch.pod() == candidate.pod);
                    assert_eq!((disk.vote, disk.promise), (ballot.epoch, ballot.epoch));
                    assert!(!disk.still_attempts(me.disk.promise), "its own attempt is over");
                    let chosen = best(&me, &candidate, false, &t)
                        .or_else(|| best(&me, &candidate, true, &t).filter(|_| stale));
                    assert_eq!(chosen, Some(candidate.pod), "{me:?} {candidate:?}");
                }
            }
        });
    });
    assert!(given > 1000, "{given}");
}

#[test]
fn a_primary_goes_on_only_with_its_disk_its_gate_contact_and_nothing_higher_in_sight() {
    let t = timings();
    each_me(&mut |me| {
        each_peer(&mut |heard| {
            each_lease(&mut |lease| {
                for contact in [NO, just_below(t.fencing), t.fencing] {
                    let me = Standing { activity: Activity::Serving, ..me };
                    let view = View { contact, replicated: true, ..view(me, heard, lease) };
                    let decision = decide(&view, &t);
                    let higher = me.disk.promise > me.disk.epoch
                        || lease.is_some_and(|seen| seen.lease.epoch > me.disk.epoch)
                        || heard.is_some_and(|p| p.disk.epoch.max(p.disk.promise) > me.disk.epoch);
                    let stops = !me.disk.seeded
                        || !me.disk.primary
                        || higher
                        || me.gate_failing >= t.gate
                        || contact >= t.fencing;
                    assert_eq!(
                        matches!(decision, Decision::Stop(why) if why != Stop::Unreached),
                        stops,
                        "{view:?}"
                    );
                    if let Decision::Serve { lease: Some(written), in_sync } = decision {
                        assert_eq!((written.epoch, written.released), (me.disk.epoch, false));
                        assert_eq!((written.in_sync, written.handover_to), (in_sync, None));
                    }
                }
            });
        });
    });
}

/// The odd store as it follows epoch 6 of the even one.
fn replica() -> Standing {
    Standing {
        pod: Pod::Odd,
        disk: Disk::EMPTY.followed(epoch(6)),
        activity: Activity::Stopped,
        gate_failing: NO,
        unprobed: NO,
        told_in_sync: Some(epoch(6)),
        yielded: None,
    }
}

fn primary() -> Standing {
    let disk = Disk { alone: false, ..Disk::EMPTY.followed(epoch(4)).taken(epoch(6)) };
    Standing { pod: Pod::Even, disk, activity: Activity::Serving, told_in_sync: None, ..replica() }
}

fn lease() -> Lease {
    Lease { epoch: epoch(6), in_sync: true, released: false, handover_to: None }
}

fn fresh(lease: Lease) -> Seen {
    Seen { lease, unchanged: NO }
}

#[test]
fn a_replica_beside_a_primary_follows_and_asks_for_its_place_only_if_gateways_reach_just_the_replica() {
    let t = timings();
    let unreached = Standing { unprobed: t.silence, ..primary() };
    let out_of_sync = Standing { told_in_sync: None, ..replica() };
    for (me, peer, decision) in [
        (replica(), primary(), Decision::Follow),
        (replica(), unreached, Decision::AskHandover),
        (out_of_sync, unreached, Decision::Follow),
        (Standing { unprobed: t.silence, ..replica() }, unreached, Decision::Follow),
        (
            Standing { disk: replica().disk.promised(epoch(7)), ..replica() },
            primary(),
            Decision::Wait(Wait::Outdated),
        ),
        (Standing { disk: Disk::EMPTY, ..replica() }, primary(), Decision::Seed),
        (Standing { gate_failing: Duration::from_nanos(1), ..replica() }, primary(), Decision::Repair),
    ] {
        assert_eq!(decide(&view(me, Some(peer), Some(fresh(lease()))), &t), decision);
    }
}

#[test]
fn a_primary_makes_way_for_a_replica_in_sync_when_ordered_or_when_no_gateway_reaches_it_and_not_twice_at_once()
 {
    let t = timings();
    let (reached, unreached) = (primary(), Standing { unprobed: t.silence, ..primary() });
    let (soon, late) = (just_below(t.handover_pause), t.handover_pause);
    let by_lease = Lease { handover_to: Some(Pod::Odd), ..lease() };
    let go_on =
        |lease: Lease| Decision::Serve { in_sync: true, lease: Some(Lease { handover_to: None, ..lease }) };
    for (me, lease, asked, since_handover, decision) in [
        (reached, lease(), Some(Asked::ByPeer), late, go_on(lease())),
        (unreached, lease(), Some(Asked::ByPeer), late, Decision::HandOver),
        (unreached, lease(), Some(Asked::ByPeer), soon, go_on(lease())),
        (reached, lease(), Some(Asked::ByOrder), soon, Decision::HandOver),
        (unreached, lease(), None, late, go_on(lease())),
        (reached, by_lease, None, late, go_on(lease())),
        (unreached, by_lease, None, late, Decision::HandOver),
    ] {
        let view =
            View { replicated: true, asked, since_handover, ..view(me, Some(replica()), Some(fresh(lease))) };
        assert_eq!(decide(&view, &t), decision, "{view:?}");
    }
    let mut cut_off = view(unreached, None, Some(fresh(by_lease)));
    assert_eq!(decide(&cut_off, &t), Decision::Stop(Stop::Unreached));
    cut_off.asked = Some(Asked::ByPeer);
    cut_off.lease = Some(fresh(lease()));
    assert!(
        matches!(decide(&cut_off, &t), Decision::Serve { in_sync: false, .. }),
        "nothing to hand over to"
    );
}

#[test]
fn that_the_other_stopped_counts_only_if_it_was_said_after_the_lease_and_every_promise() {
    let t = timings();
    let stopped = Standing { activity: Activity::Stopped, ..primary() };
    let promised = |number| Disk { promise: epoch(number), ..stopped.disk };
    let lease_of = |number| Lease { epoch: epoch(number), in_sync: true, released: false, handover_to: None };
    let voted = Standing { disk: replica().disk.voted(epoch(8)), ..replica() };
    for (me, peer, lease, since_heard, counts) in [
        (replica(), stopped, lease_of(6), NO, true),
        (replica(), stopped, lease_of(6), Duration::from_nanos(1), false),
        (replica(), stopped, lease_of(8), NO, false),
        (replica(), Standing { disk: promised(8), ..stopped }, lease_of(6), NO, true),
        (replica(), Standing { activity: Activity::Attempting, ..stopped }, lease_of(6), NO, false),
        (replica(), Standing { disk: Disk::EMPTY, ..stopped }, lease_of(6), NO, true),
        (replica(), Standing { disk: Disk::EMPTY, ..stopped }, lease_of(8), NO, false),
        (voted, stopped, lease_of(6), NO, false),
    ] {
        let mut view = view(me, Some(peer), Some(fresh(lease)));
        (view.peer.talks, view.peer.since_heard) = (false, since_heard);
        assert_eq!(decide(&view, &t) != Decision::Wait(Wait::LeaseFresh), counts, "{view:?}");
    }
}

#[test]
fn who_made_way_stays_behind_unless_the_other_cannot_serve_after_all() {
    let t = timings();
    let yielded = Standing { activity: Activity::Stopped, yielded: Some(epoch(6)), ..primary() };
    assert_eq!(best(&yielded, &replica(), false, &t), Some(Pod::Odd));
    let hung = Standing { gate_failing: t.gate, ..replica() };
    assert_eq!(best(&yielded, &hung, false, &t), Some(Pod::Even));
    let long_ago = Standing { yielded: Some(epoch(4)), ..yielded };
    assert_eq!(best(&long_ago, &replica(), false, &t), Some(Pod::Even));
}

#[test]
fn a_store_that_may_lack_changes_waits_until_the_time_is_over_or_somebody_declares_the_other_disk_gone() {
    let t = timings();
    let mut view = view(Standing { told_in_sync: None, ..replica() }, None, Some(fresh(lease())));
    view.lease = Some(Seen { lease: lease(), unchanged: t.lease });
    view.peer.silence = t.silence;
    let minutes = Duration::from_mins;
    let wait = |why| Decision::Wait(why);
    let take = Decision::Take { epoch: epoch(7), by: SecondVote::Lease, stale: true };
    for (after, waited, declared, behind, decision) in [
        (Some(minutes(5)), minutes(4), false, NO, wait(Wait::NotInSync)),
        (Some(minutes(5)), minutes(5), false, NO, take),
        (None, Duration::MAX, false, NO, wait(Wait::NotInSync)),
        (None, NO, true, NO, take),
        (Some(minutes(5)), minutes(5), false, minutes(61), wait(Wait::TooOld)),
        (None, NO, true, minutes(61), take),
    ] {
        view.stale = Stale { after, waited, declared, behind, retention: minutes(60) };
        assert_eq!(decide(&view, &t), decision, "{:?}", view.stale);
    }
}

#[test]
fn an_unreached_holder_that_cannot_be_talked_to_is_asked_through_the_lease_once() {
    let t = timings();
    let mut view = view(replica(), None, Some(fresh(lease())));
    assert_eq!(decide(&view, &t), Decision::Wait(Wait::LeaseFresh));
    view.peer.unprobed = t.silence;
    assert_eq!(decide(&view, &t), Decision::AskThroughLease);
    view.lease = Some(fresh(Lease { handover_to: Some(Pod::Odd), ..lease() }));
    assert_eq!(decide(&view, &t), Decision::Wait(Wait::LeaseFresh));
    view.lease = Some(Seen { lease: lease(), unchanged: t.lease });
    assert_eq!(decide(&view, &t), Decision::Wait(Wait::PeerHeard));
    view.lease = None;
    assert_eq!(decide(&view, &t), Decision::Wait(Wait::ApiAway));
}

#[test]
fn what_stopped_releases_its_own_epoch_over_an_older_lease_and_never_over_a_newer() {
    let old = Lease { epoch: epoch(4), ..lease() };
    let released = Lease { released: true, ..lease() };
    assert_eq!(release(&primary(), &lease()), Some(released));
    assert_eq!(release(&primary(), &old), Some(Lease { in_sync: false, ..released }));
    assert_eq!(release(&primary(), &Lease { epoch: epoch(7), ..lease() }), None);
    assert_eq!(release(&replica(), &lease()), None);
}

#[test]
fn beats_below_a_promise_are_refused() {
    let disk = replica().disk.promised(epoch(7));
    assert!(refuses(&disk, epoch(6)) && !refuses(&disk, epoch(7)));
    assert!(!refuses(&replica().disk, epoch(6)));
}

#[test]
fn what_a_disk_says_only_grows() {
    for number in 0..20 {
        let disk = primary().disk;
        for next in [disk.promised(epoch(number)), disk.voted(epoch(number)), disk.taken(epoch(number + 6))] {
            assert!(next.promise >= disk.promise && next.vote >= disk.vote && next.epoch >= disk.epoch);
        }
        assert_eq!(
            disk.voted(epoch(number)).promised(epoch(30)).vote,
            epoch(number),
            "a promise hides no vote"
        );
    }
}
