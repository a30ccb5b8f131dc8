//! Which of its passwords a log-in came with: what is remembered, the lock-outs, the queue and the hashes, in this order, and
//! last whoever else knows the main password.

use std::time::Instant;

use super::{
    Attempt, Passwords, lock, lockout::Who, metrics::Outcome, queue::Place, recent::LIFETIME, wrong,
};

impl Passwords {
    /// Which password it is, if one, whatever the mailbox may be used for.
    pub(super) async fn prove(&self, attempt: &Attempt<'_>) -> Result<usize, Outcome> {
        if let Some(which) = self.was_right(attempt) {
            return Ok(which);
        }
        if lock(&self.0.lockouts).locked(attempt.who, Instant::now()).is_some() {
            return Err(Outcome::Locked);
        }
        if self.was_wrong(attempt) {
            return Err(wrong(attempt));
        }
        if attempt.ldap.is_some() && attempt.password.expose().is_empty() {
            return self.note(attempt, None);
        }
        let Who { account, source, known } = attempt.who;
        let place = self.0.queue.place(account, source, known).ok_or(Outcome::Busy)?;
        self.0.metrics.queued(self.0.queue.len());
        let proved = self.prove_in(&place, attempt).await;
        drop(place);
        self.0.metrics.queued(self.0.queue.len());
        proved
    }

    async fn prove_in(&self, place: &Place, attempt: &Attempt<'_>) -> Result<usize, Outcome> {
        let own = if attempt.proof.has_hashes() {
            let turn = place.turn().await.ok_or(Outcome::Unavailable)?;
            // Another connection of the same client may have been answered meanwhile.
            if let Some(which) = self.was_right(attempt) {
                return Ok(which);
            }
            if self.was_wrong(attempt) {
                return Err(wrong(attempt));
            }
            let own = hold(attempt).await?;
            drop(turn);
            own
        } else {
            None
        };
        let is_app = own.and_then(|which| attempt.proof.get(which)).is_some_and(|held| held.name.is_some());
        match &attempt.ldap {
            Some(ldap) if !is_app => {
                let right = self.ask_outside(place, ldap, attempt, own).await?;
                self.note(attempt, right)
            }
            _ => self.note(attempt, own),
        }
    }

    pub(super) fn was_right(&self, attempt: &Attempt) -> Option<usize> {
        let (age, which) = lock(&self.0.recent).right(attempt.mac, Instant::now())?;
        (age < LIFETIME).then_some(which)
    }

    fn was_wrong(&self, attempt: &Attempt) -> bool {
        lock(&self.0.recent).is_wrong(attempt.mac, Instant::now())
    }

    /// Remembers an answer, and counts a wrong password once, however many it was held against.
    fn note(&self, attempt: &Attempt, right: Option<usize>) -> Result<usize, Outcome> {
        let now = Instant::now();
        lock(&self.0.recent).insert(attempt.mac, right, now);
        if let Some(which) = right {
            lock(&self.0.lockouts).succeeded(attempt.who);
            return Ok(which);
        }
        self.count(attempt, now);
        Err(wrong(attempt))
    }

    /// Counts a failure.
    pub(super) fn count(&self, attempt: &Attempt, now: Instant) {
        for scope in lock(&self.0.lockouts).failed(attempt.who, now) {
            self.0.metrics.locked(scope);
        }
    }
}

/// The number of the password that it is, of those with hashes.
async fn hold(attempt: &Attempt<'_>) -> Result<Option<usize>, Outcome> {
    let (proof, password) = (attempt.proof.clone(), attempt.password.clone());
    match tokio::task::spawn_blocking(move || proof.holds(&password)).await {
        Ok(Ok(right)) => Ok(right),
        Ok(Err(error)) => {
            tracing::error!(%error, "the directory has a hash that cannot be read");
            Err(Outcome::Unavailable)
        }
        Err(_) => Err(Outcome::Unavailable),
    }
}
