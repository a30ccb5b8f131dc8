//! DNS in the controller: when a domain's records are looked up. Bounded at a time, soon after a change, again and again
//! while something is wrong, seldom when nothing is. What was found is kept for status; a restart starts from what
//! status says.

use std::collections::{HashMap, HashSet};

use tokio::time::{Duration, Instant};

use super::{
    controller::Controller,
    index::{DomainFact, Key},
    outcome::Outcome,
};
use crate::operator::dns::{self, Answers, Needs, Question};

/// Domains looked up at a time.
const PARALLEL: usize = 4;
/// After a look-up that found something wrong: doubled each time, within [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(15);
/// The longest pause while something is wrong.
const LONGEST: Duration = Duration::from_mins(10);
/// The pause when nothing is.
const SETTLED: Duration = Duration::from_mins(30);
/// A restarted operator looks up what status says already within this time, not all at once.
const SPREAD: Duration = Duration::from_mins(2);

/// Look-ups by MailDomain.
#[derive(Debug, Default)]
pub(super) struct Checks {
    domains: HashMap<Key, Check>,
    running: HashSet<Key>,
}

#[derive(Debug)]
struct Check {
    /// What is asked.
    questions: Vec<Question>,
    due: Instant,
    pause: Duration,
    answers: Option<Answers>,
}

impl Checks {
    /// What was found last.
    pub fn answers(&self, key: &Key) -> Option<&Answers> {
        self.domains.get(key)?.answers.as_ref()
    }

    /// The MailDomain is not looked up any more.
    pub fn forget(&mut self, key: &Key) {
        self.domains.remove(key);
    }

    /// These are a MailDomain's questions; `known` says that status has answers to them.
    fn want(&mut self, key: &Key, questions: Vec<Question>, known: bool, now: Instant) {
        if self.domains.get(key).is_some_and(|check| check.questions == questions) {
            return;
        }
        let first = !self.domains.contains_key(key);
        let due = if first && known { now + SPREAD.mul_f64(share(key)) } else { now };
        let answers = self.domains.remove(key).and_then(|check| check.answers);
        self.domains.insert(key.clone(), Check { questions, due, pause: SHORTEST, answers });
    }

    /// The next to be looked up.
    fn start(&mut self, now: Instant) -> Option<(Key, Vec<Question>)> {
        if self.running.len() >= PARALLEL {
            return None;
        }
        let due = self.domains.iter().filter(|(key, check)| check.due <= now && !self.running.contains(*key));
        let (key, check) = due.min_by_key(|(_, check)| check.due)?;
        let found = (key.clone(), check.questions.clone());
        self.running.insert(found.0.clone());
        Some(found)
    }

    /// A look-up ended. `settled` says of its answers whether nothing is wrong. True if they are news.
    fn done(
        &mut self,
        key: &Key,
        answers: Answers,
        settled: impl Fn(&Answers) -> bool,
        now: Instant,
    ) -> bool {
        self.running.remove(key);
        let Some(check) = self.domains.get_mut(key) else { return false };
        // What was asked in the meantime is asked at once.
        if check.questions.iter().any(|question| !answers.contains_key(question)) {
            return false;
        }
        let pause = if settled(&answers) { SETTLED } else { check.pause };
        check.pause = if settled(&answers) { SHORTEST } else { (check.pause * 2).min(LONGEST) };
        check.due = now + pause.mul_f64(0.9 + 0.2 * share(key));
        let news = check.answers.as_ref() != Some(&answers);
        check.answers = Some(answers);
        news
    }

    /// When something is due at the latest.
    pub fn due(&self) -> Option<Instant> {
        if self.running.len() >= PARALLEL {
            return None;
        }
        let waiting = self.domains.iter().filter(|(key, _)| !self.running.contains(*key));
        waiting.map(|(_, check)| check.due).min()
    }
}

/// A number from 0 to 1 that is the domain's own, so that domains are not all looked up at the same moment.
fn share(key: &Key) -> f64 {
    let hash = key
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // Names that differ in their last letter alone would be neighbours.
    let mixed = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
    f64::from(mixed ^ (mixed >> 15)) / f64::from(u32::MAX)
}

impl Controller {
    /// What decides of a served domain's records; `None` while its key is not known, or if it is not served.
    pub(super) fn needs<'a>(&'a self, key: &Key, fact: &'a DomainFact) -> Option<Needs<'a>> {
        let name = self.index.standing(key).ok()?;
        let system = self.index.system(name)?;
        Some(Needs {
            domain: &fact.domain,
            hostname: &system.fact.hostname,
            relayed: system.fact.relayed,
            keys: self.keys_of(name, fact),
        })
    }

    /// Notes what is to be looked up for a MailDomain that was reviewed.
    pub(super) fn want_check(&mut self, key: &Key, now: Instant) {
        let fact = self.index.domain(key).filter(|fact| fact.dns_check);
        let Some((fact, needs)) = fact.and_then(|fact| Some((fact, self.needs(key, fact)?))) else {
            return self.checks.forget(key);
        };
        let questions = dns::questions(&dns::expected(&needs, None));
        let known = fact.published.dns_records.iter().any(|record| record.state.is_some());
        self.checks.want(key, questions, known, now);
    }

    /// Starts the look-ups whose time has come.
    pub(super) fn check_due(&mut self, now: Instant) {
        while let Some((key, questions)) = self.checks.start(now) {
            let system = self.index.standing(&key).ok().and_then(|name| self.index.system(name));
            let servers = system.map(|system| system.fact.resolver.clone()).unwrap_or_default();
            self.tasks.spawn(async move {
                let answers = dns::ask(&servers, questions).await;
                Outcome::Looked(key, answers)
            });
        }
    }

    /// Takes what a look-up found.
    pub(super) fn looked(&mut self, key: &Key, answers: Answers) {
        let now = Instant::now();
        let expected = self
            .index
            .domain(key)
            .and_then(|fact| self.needs(key, fact))
            .map(|needs| dns::expected(&needs, Some(&answers)))
            .unwrap_or_default();
        let settled = |answers: &Answers| {
            let records: Vec<_> =
                expected.iter().map(|expected| dns::judge(expected, Some(answers), &[])).collect();
            dns::verdict(&records).status == Some(true)
        };
        if self.checks.done(key, answers, settled, now) {
            self.due_domains.insert(key.clone(), now);
            // Signing may go over to a key whose record was seen.
            let system = self.index.standing(key).ok().cloned();
            if let Some(work) = system.and_then(|system| self.systems.get_mut(&system)) {
                work.dkim.stale = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{
        dns::{Answer, Type},
        mailbox::index::ObjectName,
    };

    fn key(name: &str) -> Key {
        ObjectName::new("n", name).into()
    }

    fn question(name: &str) -> Question {
        (name.to_owned(), Type::Txt)
    }

    #[test]
    fn a_new_domain_is_looked_up_at_once_and_ever_less_often_while_something_is_wrong() {
        let (mut checks, now, key) = (Checks::default(), Instant::now(), key("x"));
        checks.want(&key, vec![question("x")], false, now);
        let mut pauses = Vec::new();
        let answers = Answers::from([(question("x"), Answer::Nothing)]);
        let mut at = now;
        for round in 0..10 {
            assert!(checks.start(at).is_some() && checks.start(at).is_none());
            assert_eq!(
                checks.done(&key, answers.clone(), |_| false, at),
                round == 0,
                "only the first is news"
            );
            let next = checks.due().unwrap();
            pauses.push(next - at);
            at = next;
        }
        assert!(
            pauses.is_sorted() && pauses[0] < SHORTEST * 2 && pauses[9] > LONGEST.mul_f64(0.89),
            "{pauses:?}"
        );
        checks.start(at);
        checks.done(&key, answers, |_| true, at);
        assert!(checks.due().unwrap() - at > SETTLED.mul_f64(0.89));
    }

    #[test]
    fn new_questions_are_asked_at_once_and_answers_to_old_ones_do_not_count() {
        let (mut checks, now, key) = (Checks::default(), Instant::now(), key("x"));
        checks.want(&key, vec![question("a")], false, now);
        checks.start(now).unwrap();
        checks.want(&key, vec![question("b")], false, now);
        let old = Answers::from([(question("a"), Answer::Nothing)]);
        assert!(!checks.done(&key, old, |_| true, now));
        assert_eq!(checks.start(now), Some((key, vec![question("b")])));
    }

    #[test]
    fn few_are_looked_up_at_a_time_and_after_a_restart_not_all_at_once() {
        let (mut checks, now) = (Checks::default(), Instant::now());
        (0..100).for_each(|n| checks.want(&key(&n.to_string()), vec![question("x")], true, now));
        assert_eq!(std::iter::from_fn(|| checks.start(now + SPREAD)).count(), PARALLEL);
        let mut fresh = Checks::default();
        (0..100).for_each(|n| fresh.want(&key(&n.to_string()), vec![question("x")], true, now));
        let soon = fresh.domains.values().filter(|check| check.due < now + SPREAD / 4).count();
        assert!((5..60).contains(&soon), "{soon}");
    }
}
