use super::*;

use proptest::prelude::*;

const TIMES: Times = Times::USUAL;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Late enough that everything else is before it.
fn now() -> Instant {
    Instant::now() + seconds(1000)
}

fn address(pod: u8) -> IpAddr {
    [127, 0, 0, pod].into()
}

fn answered(epoch: u64, serving: bool, at: Instant) -> Known {
    let address = address(u8::try_from(epoch % 2).unwrap());
    Known { answer: Some(Answer { epoch, serving, address, at }), busy: None }
}

/// What a word may be: none, or one of an epoch, serving or not, of an age; and how long ago the store was found busy.
fn each(parity: u64, now: Instant) -> Vec<Known> {
    let nanosecond = Duration::from_nanos(1);
    let ages = [Duration::ZERO, TIMES.fresh, TIMES.fresh + nanosecond, TIMES.busy, TIMES.busy + nanosecond];
    let mut all = vec![Known::default(), Known { answer: None, busy: Some(now) }];
    for epoch in [2, 4, 6].map(|epoch| epoch + parity) {
        for serving in [true, false] {
            for age in ages {
                for busy in [None, Some(Duration::ZERO), Some(TIMES.fresh), Some(TIMES.fresh + nanosecond)] {
                    let busy = busy.map(|ago| now - ago);
                    all.push(Known { busy, ..answered(epoch, serving, now - age) });
                }
            }
        }
    }
    all
}

/// Whether the store may be routed to, in other words than the code's.
fn may_serve(known: &Known, now: Instant) -> bool {
    let Some(answer) = known.answer else { return false };
    let limit = match known.busy {
        Some(busy) if now - busy <= seconds(3) => seconds(10),
        _ => seconds(3),
    };
    answer.serving && now - answer.at <= limit
}

#[test]
fn of_every_pair_the_one_with_the_highest_epoch_that_says_it_serves_is_chosen() {
    let now = now();
    let mut routed = 0;
    for even in each(0, now) {
        for odd in each(1, now) {
            let pair = [even, odd];
            let wanted = match pair.map(|known| may_serve(&known, now).then(|| known.answer.unwrap().epoch)) {
                [Some(a), Some(b)] => Some(if a > b { (0, a) } else { (1, b) }),
                [Some(a), None] => Some((0, a)),
                [None, Some(b)] => Some((1, b)),
                [None, None] => None,
            };
            let chosen = choose(&pair, now, &TIMES);
            assert_eq!(chosen.map(|it| (it.pod, it.epoch)), wanted, "{pair:?}");
            if let Some(primary) = chosen {
                routed += 1;
                assert_eq!(primary.address, address(u8::try_from(primary.pod).unwrap()));
            }
        }
    }
    assert!(routed > 1000, "{routed}");
}

proptest! {
    /// Whatever probes bring, in whatever order and pace: only a store is routed to whose last word is that it serves.
    #[test]
    fn after_any_course_of_probes_only_one_that_says_it_serves_is_routed_to(
        course in prop::collection::vec((0..2_usize, 0..5_u8, 1..6_u64, 0..2500_u64), 1..60),
    ) {
        let mut now = now();
        let mut pair = [Known::default(); 2];
        let mut last: [Option<(u64, bool)>; 2] = [None; 2];
        for (pod, kind, step, pause) in course {
            now += Duration::from_millis(pause);
            let epoch = step * 2 + pod as u64;
            let address = address(u8::try_from(pod).unwrap());
            let probe = match kind {
                0 | 1 => Probe::Answered(Answer { epoch, serving: kind == 0, address, at: now }),
                2 => Probe::Busy { at: now },
                3 => Probe::Ended,
                _ => Probe::Silent,
            };
            match kind {
                0 | 1 => last[pod] = Some((epoch, kind == 0)),
                3 => last[pod] = last[pod].map(|(epoch, _)| (epoch, false)),
                _ => {}
            }
            pair[pod].learn(probe);
            if let Some(primary) = choose(&pair, now, &TIMES) {
                let at = usize::try_from(primary.pod).unwrap();
                prop_assert_eq!(last[at], Some((primary.epoch, true)));
                prop_assert!(now - pair[at].answer().unwrap().at <= TIMES.busy);
                let other = pair[1 - at].word(now, &TIMES);
                prop_assert!(other.is_none_or(|other| !other.serving || other.epoch < primary.epoch));
            }
            // However old its word, one that was answered just now is never passed over for silence.
            if kind == 0 {
                prop_assert!(choose(&pair, now, &TIMES).is_some());
            }
        }
    }
}

#[test]
fn a_store_that_is_silent_is_left_after_three_seconds_and_one_that_is_busy_after_ten() {
    let start = now();
    let routed = |known: &Known, after| choose(&[*known], start + seconds(after), &TIMES).is_some();
    let mut silent = answered(4, true, start);
    silent.learn(Probe::Silent);
    assert!(routed(&silent, 3) && !routed(&silent, 4));

    let mut busy = silent;
    busy.learn(Probe::Busy { at: start + seconds(8) });
    assert!(routed(&busy, 10) && !routed(&busy, 11));
    busy.learn(Probe::Silent);
    assert!(routed(&busy, 10), "it was reached two seconds ago");
    busy.learn(Probe::Ended);
    assert!(!routed(&busy, 8) && busy.answer().is_some_and(|answer| answer.at == start));
    busy.learn(Probe::Busy { at: start + seconds(9) });
    assert!(!routed(&busy, 9), "its last word was not that it serves");
}

#[test]
fn an_absence_counts_from_its_beginning_and_is_waited_through_for_half_a_minute() {
    let start = now();
    let primary = choose(&[answered(4, true, start)], start, &TIMES);
    let later = |after| start + seconds(after);
    let route = Route::Nowhere { since: start }.then(None, later(1));
    assert_eq!(route, Route::Nowhere { since: start });
    assert_eq!(route.waits_until(later(10), &TIMES), later(10));
    assert_eq!(route.waits_until(later(40), &TIMES), later(30));
    let route = route.then(primary, later(2));
    assert_eq!((route.primary(), route.waits_until(later(40), &TIMES)), (primary, later(40)));
    assert_eq!(route.then(None, later(5)), Route::Nowhere { since: later(5) });
}
