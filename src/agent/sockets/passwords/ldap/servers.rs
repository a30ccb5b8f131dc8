//! Which server is asked next: those that failed a moment ago are left alone. Pure: times come in.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Reason, Trouble};

/// For so long a server that failed is not asked.
const PAUSE: Duration = Duration::from_secs(5);
/// The same for one that refuses the searcher: most lock a name out after some wrong passwords.
const LONG_PAUSE: Duration = Duration::from_mins(1);

/// The servers of a service, by their place in its list.
pub(super) struct Servers(Vec<State>);

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Answers,
    /// It failed, and is left alone until then.
    Failed(Instant, Trouble),
}

impl Servers {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![State::Unknown; count])
    }

    /// Whom to ask, one after the other.
    ///
    /// # Errors
    /// Nobody: each failed a moment ago, the first one for this reason.
    pub(super) fn order(&self, now: Instant) -> Result<VecDeque<usize>, Trouble> {
        let order: VecDeque<_> = (0..self.0.len()).filter(|at| self.may_be_asked(*at, now)).collect();
        if order.is_empty() {
            let failed = self.0.iter().find_map(State::trouble);
            return Err(failed.unwrap_or_else(|| Trouble::new(Reason::Unusable, "there is no server")));
        }
        Ok(order)
    }

    /// Whether the server did not fail a moment ago.
    pub(super) fn may_be_asked(&self, at: usize, now: Instant) -> bool {
        match self.0.get(at) {
            None => false,
            Some(State::Unknown | State::Answers) => true,
            Some(State::Failed(until, _)) => *until <= now,
        }
    }

    /// Whether it may be asked how it is. One that does not answer is asked all the same: it costs nobody's time.
    pub(super) fn is_due(&self, at: usize, now: Instant) -> bool {
        let refused = |state: &State| state.trouble().is_some_and(|it| it.reason == Reason::BindRefused);
        self.may_be_asked(at, now) || self.0.get(at).is_some_and(|state| !refused(state))
    }

    /// What is wrong with each. None before all were asked.
    pub(super) fn states(&self) -> Option<Vec<Option<Trouble>>> {
        let known = self.0.iter().all(|state| *state != State::Unknown);
        known.then(|| self.0.iter().map(State::trouble).collect())
    }

    /// It was asked how it is.
    pub(super) fn seen(&mut self, at: usize, seen: Result<(), Trouble>, now: Instant) {
        match seen {
            Ok(()) => self.answered(at),
            Err(trouble) => self.failed(at, trouble, now),
        }
    }

    pub(super) fn answered(&mut self, at: usize) {
        if let Some(server) = self.0.get_mut(at) {
            *server = State::Answers;
        }
    }

    pub(super) fn failed(&mut self, at: usize, trouble: Trouble, now: Instant) {
        let pause = if trouble.reason == Reason::BindRefused { LONG_PAUSE } else { PAUSE };
        if let Some(server) = self.0.get_mut(at) {
            *server = State::Failed(now + pause, trouble);
        }
    }
}

impl State {
    fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Failed(_, trouble) => Some(trouble.clone()),
            Self::Unknown | Self::Answers => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_is_asked_again_after_a_pause_or_when_it_answered() {
        let (mut servers, now) = (Servers::new(3), Instant::now());
        let order = |servers: &Servers, now| servers.order(now).map(Vec::from);
        assert_eq!(order(&servers, now), Ok(vec![0, 1, 2]));
        servers.failed(0, Trouble::silent(), now);
        assert_eq!(order(&servers, now), Ok(vec![1, 2]));
        assert_eq!(order(&servers, now + PAUSE), Ok(vec![0, 1, 2]));
        servers.failed(1, Trouble::new(Reason::BindRefused, "result 49"), now);
        servers.failed(2, Trouble::silent(), now);
        assert_eq!(order(&servers, now), Err(Trouble::silent()));
        assert_eq!(order(&servers, now + PAUSE), Ok(vec![0, 2]), "not its name locked out");
        assert!(servers.is_due(0, now) && !servers.is_due(1, now) && servers.is_due(1, now + LONG_PAUSE));
        assert_eq!(servers.states().map(|states| states.iter().flatten().count()), Some(3));
        servers.answered(1);
        assert_eq!(order(&servers, now), Ok(vec![1]));
        assert_eq!(Servers::new(1).states(), None, "it was not asked yet");
    }
}
