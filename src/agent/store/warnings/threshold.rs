//! When the owner of a mailbox is written to: a state machine of what part of its quota is used. Pure: the time comes in.
//!
//! A threshold counts once, until there is room again; and nobody gets two letters within a day. What is kept says all that
//! matters: it is written down before a letter goes, so that a restart neither forgets a letter nor writes one again.

use serde::{Deserialize, Serialize};

/// From this part of the quota on, in percent, a mailbox is nearly full.
const NEARLY: u64 = 90;
/// Below this part there is room again, and a threshold counts anew.
const ROOM: u64 = 80;
/// Between two letters to one mailbox, in seconds.
const DAY: i64 = 86_400;
/// A store that does not serve takes it after so many seconds that the one which does has sent its letter.
const SENT_BY_THE_OTHER: i64 = 3600;
/// For so many seconds a letter that went may still be on its way: Postfix tries for five days.
const ON_ITS_WAY: i64 = 6 * DAY;
/// For so many seconds what is known of a mailbox is kept that is gone, or takes no letters.
const FORGOTTEN: i64 = 30 * DAY;

/// A threshold.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// A tenth at most is left.
    Nearly,
    /// Nothing is left.
    Full,
}

/// A letter to the owner.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// Names it: its Message-ID, without what follows the `@`.
    pub id: String,
    /// What it tells.
    pub level: Level,
    /// When it was decided on, in seconds of Unix time.
    pub since: i64,
    /// Whether it went.
    pub gone: bool,
}

/// What is kept of a mailbox.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The highest threshold of which the owner was told since there was last room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Level>,
    /// When the last letter went, in seconds of Unix time; 0 is never.
    #[serde(default)]
    at: i64,
    /// The letter that is to go, or that may be on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    letter: Option<Letter>,
}

/// What part of a quota is used, in percent, rounded down.
#[must_use]
pub fn percent(used: u64, quota: u64) -> u64 {
    u64::try_from(u128::from(used) * 100 / u128::from(quota.max(1))).unwrap_or(u64::MAX)
}

impl Record {
    /// The mailbox is so full at `now`; `id` names a letter, should there be one.
    pub fn judge(&mut self, percent: u64, now: i64, id: impl FnOnce() -> String) {
        let level = match percent {
            100.. => Some(Level::Full),
            NEARLY.. => Some(Level::Nearly),
            _ => None,
        };
        if percent < ROOM {
            self.told = None;
        }
        // What is not so any more is not told; a letter on its way is waited for no longer than it may take.
        self.letter.take_if(|letter| {
            let old = !(0..ON_ITS_WAY).contains(&(now - letter.since));
            if letter.gone { percent < ROOM || old } else { level != Some(letter.level) }
        });
        let rested = self.at == 0 || !(0..DAY).contains(&(now - self.at));
        let waits = self.letter.as_ref().is_some_and(|letter| !letter.gone);
        if let Some(level) = level.filter(|level| Some(*level) > self.told && rested && !waits) {
            self.letter = Some(Letter { id: id(), level, since: now, gone: false });
        }
    }

    /// The letter that is to go.
    #[must_use]
    pub fn due(&self) -> Option<&Letter> {
        self.letter.as_ref().filter(|letter| !letter.gone)
    }

    /// It went, or is refused for good.
    pub fn sent(&mut self, now: i64) {
        if let Some(letter) = self.letter.as_mut().filter(|letter| !letter.gone) {
            letter.gone = true;
            self.told = self.told.max(Some(letter.level));
            self.at = now;
        }
    }

    /// Another store sends the letters: after a while this one takes it that it has.
    pub fn leave_to_the_other(&mut self, now: i64) {
        let since = self.due().map(|letter| letter.since);
        if let Some(since) = since.filter(|since| !(0..SENT_BY_THE_OTHER).contains(&(now - since))) {
            self.sent(since);
        }
    }

    /// The letter which tells that the mailbox is full and has not come yet, by its id.
    #[must_use]
    pub fn awaited(&self) -> Option<&str> {
        self.letter.as_ref().filter(|letter| letter.level == Level::Full).map(|letter| letter.id.as_str())
    }

    /// It has come.
    pub fn arrived(&mut self) {
        self.letter.take_if(|letter| letter.gone);
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_idle(&self, now: i64) -> bool {
        self.told.is_none() && self.letter.is_none() && !(0..DAY).contains(&(now - self.at))
    }

    /// Whether nothing became of it for so long that it is not kept of a mailbox which is not there.
    #[must_use]
    pub fn is_old(&self, now: i64) -> bool {
        let last = self.letter.as_ref().map_or(self.at, |letter| letter.since.max(self.at));
        !(0..FORGOTTEN).contains(&(now - last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_700_000_000;

    /// The letters that went, at which times, while the mailbox was so full at these times.
    fn letters(course: &[(i64, u64)]) -> Vec<(i64, Level)> {
        let (mut record, mut gone) = (Record::default(), Vec::new());
        for (hours, percent) in course {
            let now = START + hours * 3600;
            record.judge(*percent, now, || "id".into());
            if let Some(letter) = record.due() {
                gone.push((*hours, letter.level));
                record.sent(now);
            }
        }
        gone
    }

    #[test]
    fn each_threshold_is_told_once_until_there_is_room_and_never_twice_within_a_day() {
        use Level::{Full, Nearly};
        assert_eq!(letters(&[(0, 89), (1, 90), (2, 99), (3, 85), (4, 95)]), [(1, Nearly)]);
        assert_eq!(letters(&[(0, 90), (25, 100), (50, 81), (80, 100), (110, 92)]), [(0, Nearly), (25, Full)]);
        assert_eq!(letters(&[(0, 100), (30, 95), (60, 100)]), [(0, Full)], "who is full is nearly full");
        assert_eq!(letters(&[(0, 90), (30, 79), (31, 90)]), [(0, Nearly), (31, Nearly)]);
        // What became so within the day is told when the day is over, if it is so still.
        assert_eq!(letters(&[(0, 90), (1, 100), (23, 100), (24, 100)]), [(0, Nearly), (24, Full)]);
        assert_eq!(letters(&[(0, 90), (1, 100), (23, 97), (24, 97)]), [(0, Nearly)]);
        assert_eq!(letters(&[(0, 90), (1, 10), (2, 90), (24, 90)]), [(0, Nearly), (24, Nearly)]);
        assert_eq!(letters(&[(100, 90), (-100, 10), (-99, 90)]).len(), 2, "a clock that was put right");
    }

    #[test]
    fn a_letter_that_has_not_gone_says_what_is_so_now() {
        let mut record = Record::default();
        record.judge(95, START, || "a".into());
        record.judge(96, START + 60, || "b".into());
        assert_eq!(record.due().map(|letter| letter.id.as_str()), Some("a"), "tried again");
        record.judge(100, START + 120, || "c".into());
        assert_eq!(record.due().map(|it| (it.id.as_str(), it.level)), Some(("c", Level::Full)));
        record.judge(89, START + 180, || "d".into());
        assert_eq!(record.due(), None);
        assert!(record.is_idle(START + 180));
    }

    #[test]
    fn the_letter_of_a_full_mailbox_is_awaited_until_it_comes_or_there_is_room() {
        let mut full = Record::default();
        full.judge(100, START, || "a".into());
        assert!(full.awaited() == Some("a"), "it may come before the gateway's answer is noted");
        full.sent(START);
        full.judge(101, START + 60, || "b".into());
        assert_eq!(full.awaited(), Some("a"));
        let mut came = full.clone();
        came.arrived();
        assert_eq!((came.awaited(), came.told), (None, Some(Level::Full)));
        let mut room = full.clone();
        room.judge(79, START + 60, || "c".into());
        assert_eq!(room.awaited(), None);
        full.judge(100, START + 7 * DAY, || "d".into());
        assert!(full.awaited().is_none() && full.due().is_none());
        let mut nearly = Record::default();
        nearly.judge(99, START, || "a".into());
        nearly.sent(START);
        assert_eq!(nearly.awaited(), None, "there is room for it");
    }

    #[test]
    fn a_store_that_does_not_serve_leaves_letters_to_the_other_and_sends_what_that_one_cannot_have() {
        let mut record = Record::default();
        record.judge(95, START, || "a".into());
        record.leave_to_the_other(START + 60);
        assert!(record.due().is_some(), "should it serve from now on");
        record.leave_to_the_other(START + 3600);
        record.judge(95, START + 3700, || "b".into());
        assert!(record.due().is_none() && record.told == Some(Level::Nearly));
    }

    /// A moment: minutes since the one before, how full the mailbox is, whether the gateway takes mail, and whether the
    /// agent dies before it notes that.
    fn moments() -> impl Strategy<Value = Vec<(i64, u64, bool, bool)>> {
        let moment = (1..2000_i64, 60..115_u64, any::<bool>(), prop::bool::weighted(0.2));
        prop::collection::vec(moment, 1..200)
    }

    proptest! {
        #[test]
        fn of_each_crossing_there_is_one_letter_whatever_fails_and_restarts(moments in moments()) {
            let (mut disk, mut now, mut names) = (Vec::new(), START, 0);
            // Since there was last room: what was told, and the letter that went for the present threshold.
            let (mut told, mut unsure): (Option<Level>, Option<Letter>) = (None, None);
            let mut last = 0;
            for (minutes, percent, taken, dies) in moments {
                now += minutes * 60;
                // Each round begins with what the disk has: a restart changes nothing.
                let mut record: Record = serde_json::from_slice(&disk).unwrap_or_default();
                record.judge(percent, now, || { names += 1; names.to_string() });
                disk = serde_json::to_vec(&record).unwrap();
                let level = match percent {
                    100.. => Some(Level::Full),
                    90.. => Some(Level::Nearly),
                    _ => None,
                };
                told = told.filter(|_| percent >= 80);
                unsure.take_if(|letter: &mut Letter| Some(letter.level) != level);
                prop_assert_eq!(record.due().is_some(), level > told && now - last >= DAY);
                let Some(letter) = record.due().filter(|_| taken).cloned() else { continue };
                prop_assert_eq!(Some(letter.level), level);
                if let Some(before) = unsure.take() {
                    prop_assert_eq!(&before, &letter, "the same letter, should it have come");
                }
                if dies {
                    unsure = Some(letter);
                } else {
                    (told, last) = (told.max(level), now);
                    record.sent(now);
                    disk = serde_json::to_vec(&record).unwrap();
                }
            }
        }
    }
}
