//! All that can happen between two ticks: steps of the protocol, faults, repairs, and the user.

use crate::{
    Fault, Mutant,
    failover::{Asked, Decision, Disk, Lease, Pod},
    state::{Run, World},
    user::Change,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    Fault(Fault),
    Repair(Repair),
    // The protocol
    Restart(usize),
    Promise(usize),
    /// An administrator, or the passing of `staleAfter`, lets a store take over that may lack changes.
    PromiseStale(usize),
    Vote {
        candidate: usize,
        answered: bool,
    },
    Swap {
        by: usize,
        answered: bool,
    },
    AskHandover(usize),
    AskThroughLease(usize),
    /// A beat of the other, which attempts, arrives. (All other beats are those of the last tick.)
    Hear(usize),
    Follow(usize),
    PushLeftover(usize),
    Replicate(usize),
    // The user
    Change {
        at: usize,
        sync: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    Node(usize),
    Disk(usize),
    Resume(usize),
    ApiLink(usize),
    Gateways(usize),
    Links,
    Api,
}

impl World {
    pub fn protocol(&self, mutant: Option<Mutant>, out: &mut Vec<Action>) {
        for i in 0..2 {
            if self.stores[i].run == Run::Down {
                out.push(Action::Restart(i));
            }
            if self.vote_possible(i) {
                out.extend(both(|answered| Action::Vote { candidate: i, answered }));
            }
            if self.swap_possible(i) {
                out.extend(both(|answered| Action::Swap { by: i, answered }));
            }
            if self.up(i) && !self.stores[i].serving && self.stores[i].attempt.is_none() {
                self.standby(i, mutant, out);
            }
            if self.reaches_peer(1 - i) && self.attempt_is_news(i) {
                out.push(Action::Hear(i));
            }
            if self.follows(1 - i) && self.stores[i].log {
                out.push(Action::Replicate(i));
            }
        }
    }

    fn standby(&self, i: usize, mutant: Option<Mutant>, out: &mut Vec<Action>) {
        let peer = &self.stores[1 - i];
        match self.decide(i, None, false, mutant) {
            Decision::Take { .. } => out.push(Action::Promise(i)),
            Decision::AskHandover if self.talk() && peer.serving => out.push(Action::AskHandover(i)),
            Decision::AskThroughLease => out.push(Action::AskThroughLease(i)),
            Decision::Follow | Decision::Seed => self.return_of(i, out),
            Decision::Wait(_) => {
                if matches!(self.decide(i, None, true, mutant), Decision::Take { stale: true, .. }) {
                    out.push(Action::PromiseStale(i));
                }
            }
            _ => {}
        }
    }

    /// The steps by which a store comes back: first what only it has goes to the primary.
    fn return_of(&self, i: usize, out: &mut Vec<Action>) {
        let (me, primary) = (&self.stores[i], &self.stores[1 - i]);
        let behind = me.disk.epoch < primary.disk.epoch || !me.disk.seeded;
        let open = self.talk() && primary.serving && !primary.hung && !me.hung;
        if open && behind && me.disk.promise <= primary.disk.epoch {
            out.push(if me.disk.seeded && me.log { Action::PushLeftover(i) } else { Action::Follow(i) });
        }
    }

    pub fn user(&self, out: &mut Vec<Action>) {
        for at in 0..2 {
            if self.change == Change::None && self.serves(at) && self.gateways[at] && !self.stores[at].hung {
                out.push(Action::Change { at, sync: false });
                if self.follows(1 - at) {
                    out.push(Action::Change { at, sync: true });
                }
            }
        }
    }

    pub fn repairs(&self, out: &mut Vec<Action>) {
        for i in 0..2 {
            let store = &self.stores[i];
            let broken = [
                (store.run == Run::Gone, Repair::Node(i)),
                (store.hung, Repair::Disk(i)),
                (store.run == Run::Paused, Repair::Resume(i)),
                (!self.api_link[i], Repair::ApiLink(i)),
                (!self.gateways[i], Repair::Gateways(i)),
            ];
            out.extend(broken.iter().filter(|(is, _)| *is).map(|(_, repair)| Action::Repair(*repair)));
        }
        if self.link != [true; 2] {
            out.push(Action::Repair(Repair::Links));
        }
        if !self.api {
            out.push(Action::Repair(Repair::Api));
        }
    }

    #[must_use]
    pub fn after(&self, action: Action, mutant: Option<Mutant>) -> Self {
        let mut next = self.clone();
        match action {
            Action::Tick => next.tick(mutant),
            Action::Fault(fault) => next.fault(fault, mutant),
            Action::Repair(repair) => next.repair(repair),
            Action::Restart(i) => next.restart(i, mutant),
            Action::Promise(i) => next.promise(i, self.decide(i, None, false, mutant), mutant),
            Action::PromiseStale(i) => next.promise(i, self.decide(i, None, true, mutant), mutant),
            Action::Vote { candidate, answered } => {
                next.ask_vote(candidate, answered && self.reaches_peer(1 - candidate), mutant);
            }
            Action::Swap { by, answered } => next.swap_lease(by, answered, mutant),
            Action::AskHandover(i) => {
                if self.decide(1 - i, Some(Asked::ByPeer), false, mutant) == Decision::HandOver {
                    next.hand_over(1 - i);
                }
            }
            Action::AskThroughLease(i) => {
                let handover_to = Some(Pod::BOTH[i]);
                next.lease_written(Lease { handover_to, ..self.lease }, Some(i));
            }
            Action::Hear(i) => {
                next.stores[i].heard = Some(self.standing(1 - i));
                next.stores[i].heard_since_lease = true;
            }
            Action::Follow(i) => next.follow(i),
            Action::PushLeftover(i) => next.push_leftover(i),
            Action::Replicate(i) => next.replicate(i),
            Action::Change { at, sync } => next.make_change(at, sync),
        }
        next
    }

    fn attempt_is_news(&self, i: usize) -> bool {
        self.stores[1 - i].attempt.is_some() && self.stores[i].heard != Some(self.standing(1 - i))
    }

    fn restart(&mut self, i: usize, mutant: Option<Mutant>) {
        self.stores[i].run = Run::Up;
        if mutant == Some(Mutant::ResumeEpoch) {
            self.stores[i].serving = self.stores[i].disk.primary;
        }
    }

    fn fault(&mut self, fault: Fault, mutant: Option<Mutant>) {
        self.faults_left -= 1;
        match fault {
            Fault::Crash(i) => self.crash(i, Run::Down, mutant),
            Fault::CrashBoth => (0..2).for_each(|i| self.crash(i, Run::Down, mutant)),
            Fault::NodeLost(i) => self.crash(i, Run::Gone, mutant),
            Fault::DiskLost(i) => {
                self.crash(i, Run::Down, mutant);
                let store = &mut self.stores[i];
                (store.disk, store.change, store.log, store.hung) = (Disk::EMPTY, false, false, false);
                self.disk_lost(i);
            }
            Fault::DiskHung(i) => self.stores[i].hung = true,
            Fault::Paused(i) => self.stores[i].run = Run::Paused,
            Fault::SlowClock(i) => {
                self.stores[i].contact -= 1;
                self.stores[i].slowed = true;
            }
            Fault::ApiCut(i) => self.api_link[i] = false,
            Fault::GatewaysCut(i) => self.gateways[i] = false,
            Fault::PeersCut => self.link = [false; 2],
            Fault::OneWayCut(i) => self.link[i] = false,
            Fault::Isolated(i) => {
                self.link = [false; 2];
                self.api_link[i] = false;
            }
            Fault::ApiDown => self.api = false,
            Fault::ApiRestored(backup) => {
                self.lease_written(Self::backup(backup), None);
                self.registration_lost();
            }
            Fault::LateBeat(i) => self.stores[i].heard_since_lease = true,
            Fault::Switchover(i) => {
                if self.decide(i, Some(Asked::ByOrder), false, mutant) == Decision::HandOver {
                    self.hand_over(i);
                }
            }
        }
    }

    fn repair(&mut self, repair: Repair) {
        match repair {
            Repair::Node(i) | Repair::Resume(i) => self.stores[i].run = Run::Up,
            Repair::Disk(i) => self.stores[i].hung = false,
            Repair::ApiLink(i) => self.api_link[i] = true,
            Repair::Gateways(i) => self.gateways[i] = true,
            Repair::Links => self.link = [true; 2],
            Repair::Api => self.api = true,
        }
    }
}

fn both(action: impl Fn(bool) -> Action) -> [Action; 2] {
    [action(true), action(false)]
}
