//! Counts of this gateway alone, while Valkey is away: each gateway then lets as much pass as all together should. Pure:
//! times come in. What is older than the window is forgotten.

use std::collections::HashMap;

use super::window::{Ask, Count, place};

/// Names counted at most: beyond, counts begin anew.
const MOST: usize = 100_000;

#[derive(Default)]
pub(super) struct Local {
    hour: i64,
    counts: HashMap<String, [u64; 2]>,
}

impl Local {
    pub(super) fn count(&mut self, ask: &Ask, now: i64) -> Count {
        let (hour, part) = place(now);
        self.turn(hour);
        let mailbox = format!("m:{}:{}", ask.mailbox, ask.resumed);
        if self.sum(&mailbox, part) + 1 > u64::from(ask.limit) {
            let refused = format!("r:{}:{}", ask.mailbox, ask.resumed);
            self.add(&refused);
            return Count::Refused(self.sum(&refused, part));
        }
        let domain = ask.domain_limit.map(|limit| (format!("d:{}", ask.domain), limit));
        if let Some((name, limit)) = &domain
            && self.sum(name, part) + 1 > u64::from(*limit)
        {
            return Count::DomainRefused;
        }
        self.add(&mailbox);
        if let Some((name, _)) = &domain {
            self.add(name);
        }
        Count::Passed
    }

    /// This hour becomes the one before.
    fn turn(&mut self, hour: i64) {
        if hour == self.hour {
            return;
        }
        let next = hour == self.hour + 1;
        self.hour = hour;
        self.counts.retain(|_, [this, before]| {
            (*before, *this) = (if next { *this } else { 0 }, 0);
            *before > 0
        });
    }

    fn sum(&self, name: &str, part: i64) -> u64 {
        let [this, before] = self.counts.get(name).copied().unwrap_or_default();
        this + before * u64::try_from(part).unwrap_or_default() / 1000
    }

    fn add(&mut self, name: &str) {
        if self.counts.len() >= MOST && !self.counts.contains_key(name) {
            self.counts.clear();
        }
        self.counts.entry(name.to_owned()).or_default()[0] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::window::HOUR, *};

    const ASK: Ask =
        Ask { mailbox: "an@x.vn", resumed: 0, limit: 10, domain: "x.vn", domain_limit: Some(15) };

    fn passed(local: &mut Local, ask: &Ask, now: i64) -> usize {
        (0..100).filter(|_| local.count(ask, now) == Count::Passed).count()
    }

    #[test]
    fn an_hour_slides_and_a_lifted_suspension_begins_anew() {
        let (mut local, start) = (Local::default(), 1000 * HOUR);
        assert_eq!(passed(&mut local, &ASK, start), 10);
        assert_eq!(local.count(&ASK, start), Count::Refused(91));
        let other = Ask { mailbox: "binh@x.vn", ..ASK };
        assert_eq!(passed(&mut local, &other, start), 5, "the domain's limit");
        assert_eq!(local.count(&other, start), Count::DomainRefused);
        assert_eq!(passed(&mut local, &ASK, start + HOUR), 0);
        assert_eq!(passed(&mut local, &ASK, start + HOUR + HOUR / 2), 5);
        assert_eq!(passed(&mut local, &ASK, start + 5 * HOUR), 10);
        let anew = Ask { resumed: 7, domain_limit: None, ..ASK };
        assert_eq!(passed(&mut local, &anew, start + 5 * HOUR), 10);
    }
}
