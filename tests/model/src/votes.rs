//! Attempts, votes and the Lease: what an agent does with a decision.

use crate::{
    Mutant,
    failover::{Ballot, Decision, Epoch, Lease, SecondVote, vote},
    state::{Attempt, World, timings},
};

impl World {
    /// The promise is on the disk.
    pub fn promise(&mut self, i: usize, decision: Decision, mutant: Option<Mutant>) {
        let Decision::Take { epoch, by, stale } = decision else { return };
        let store = &mut self.stores[i];
        store.disk = store.disk.promised(epoch);
        if mutant == Some(Mutant::PromiseHidesVote) {
            store.disk.vote = Epoch::NONE;
        }
        store.attempt = Some(Attempt { epoch, by, stale, current: true });
    }

    /// The peer is asked; its answer arrives if `answered`.
    pub fn ask_vote(&mut self, i: usize, answered: bool, mutant: Option<Mutant>) {
        let Some(attempt) = self.stores[i].attempt else { return };
        let ballot = Ballot { candidate: self.standing(i), epoch: attempt.epoch, stale: attempt.stale };
        let mut view = self.view(1 - i);
        Mutant::bend(mutant, &mut view);
        let answer = vote(&view, &ballot, &timings());
        if let Ok(disk) = answer {
            let peer = &mut self.stores[1 - i];
            peer.disk = disk;
            if mutant != Some(Mutant::VoteKeepsSilence) {
                peer.silence = 0;
            }
            if mutant != Some(Mutant::VoteKeepsAttempt) {
                peer.attempt = peer.attempt.filter(|own| disk.still_attempts(own.epoch));
            }
        }
        self.stores[i].attempt = None;
        if answered && answer.is_ok() {
            self.start(i, attempt);
        }
    }

    /// The Lease is swapped, if it is still the one that was read; the outcome is known if `answered`.
    pub fn swap_lease(&mut self, i: usize, answered: bool, mutant: Option<Mutant>) {
        let Some(attempt) = self.stores[i].attempt.take() else { return };
        if !attempt.current && mutant != Some(Mutant::BlindSwap) {
            return;
        }
        self.lease_written(Lease { epoch: attempt.epoch, ..Lease::NONE }, Some(i));
        if answered {
            self.start(i, attempt);
        }
    }

    fn start(&mut self, i: usize, attempt: Attempt) {
        let store = &mut self.stores[i];
        store.disk = store.disk.taken(attempt.epoch);
        store.serving = true;
        store.contact = 0;
        if attempt.stale {
            self.declare_loss();
        }
    }

    /// The primary stops accepting, drains, stops, and stays behind.
    pub fn hand_over(&mut self, from: usize) {
        self.replicate(from);
        self.stop(from);
        self.stores[from].yielded = Some(self.stores[from].disk.epoch);
    }

    pub fn vote_possible(&self, i: usize) -> bool {
        self.stores[i].attempt.is_some_and(|a| a.by == SecondVote::Peer) && self.reaches_peer(i)
    }

    pub fn swap_possible(&self, i: usize) -> bool {
        self.stores[i].attempt.is_some_and(|a| a.by == SecondVote::Lease) && self.reaches_api(i)
    }
}
