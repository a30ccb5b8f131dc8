//! Three seconds pass: beats, renewals, fencing, counters.

use crate::{
    Mutant,
    failover::{Decision, Stop, refuses, release},
    state::{Run, TICKS, World},
};

impl World {
    pub fn tick(&mut self, mutant: Option<Mutant>) {
        self.exchange_beats();
        for store in &mut self.stores {
            // An attempt lives for less than a tick, but one whose agent is stopped wakes up with it.
            store.attempt = store.attempt.filter(|_| store.run == Run::Paused);
        }
        let renewed = [0, 1].map(|i| self.serve(i, mutant));
        self.lease_age = if renewed.contains(&true) { 0 } else { (self.lease_age + 1).min(TICKS) };
        for i in 0..2 {
            self.listen(i, mutant);
        }
        self.exchange_beats(); // There are several in a tick.
    }

    fn exchange_beats(&mut self) {
        let standings = [self.standing(0), self.standing(1)];
        let talks = self.talk();
        for i in 0..2 {
            let heard = self.reaches_peer(1 - i).then_some(standings[1 - i]);
            let store = &mut self.stores[i];
            store.heard = heard;
            store.heard_since_lease = heard.is_some();
            store.talks = talks;
        }
    }

    /// A serving store's tick; whether it wrote the Lease.
    fn serve(&mut self, i: usize, mutant: Option<Mutant>) -> bool {
        if !self.stores[i].serving {
            return false;
        }
        if self.stores[i].run == Run::Paused {
            self.watchdog(i, mutant);
            return false;
        }
        let peer = 1 - i;
        let refused = refuses(&self.stores[peer].disk, self.stores[i].disk.epoch);
        let answered = self.reaches_api(i) || (self.talk() && !refused);
        self.stores[i].contact = if answered { 0 } else { self.stores[i].contact + 1 };
        match self.decide(i, None, false, mutant) {
            Decision::Serve { in_sync, lease } => {
                let epoch = self.stores[i].disk.epoch;
                self.stores[i].disk.alone = !in_sync;
                if self.talk() && !self.stores[peer].serving {
                    self.stores[peer].told = in_sync.then_some(epoch);
                }
                if let Some(lease) = lease {
                    self.lease_written(lease, Some(i));
                }
                lease.is_some()
            }
            Decision::HandOver => {
                self.hand_over(i);
                self.write_release(i)
            }
            Decision::Stop(reason) => {
                if reason == Stop::Superseded {
                    let seen = self.view(i).seen();
                    self.stores[i].disk = self.stores[i].disk.promised(seen);
                }
                self.stop(i);
                self.write_release(i)
            }
            other => unreachable!("a serving store does not {other:?}"),
        }
    }

    fn write_release(&mut self, i: usize) -> bool {
        let lease = self.reaches_api(i).then(|| release(&self.standing(i), &self.lease)).flatten();
        if let Some(lease) = lease {
            self.lease_written(lease, Some(i));
        }
        lease.is_some()
    }

    /// Cyrus is killed although its agent does not run.
    fn watchdog(&mut self, i: usize, mutant: Option<Mutant>) {
        let fencing = 2; // ticks
        self.stores[i].contact = (self.stores[i].contact + 1).min(fencing);
        if self.stores[i].contact >= fencing && mutant != Some(Mutant::NoWatchdog) {
            self.stop(i);
        }
    }

    /// Silence grows while the agent is stopped too: nothing arrives.
    fn listen(&mut self, i: usize, mutant: Option<Mutant>) {
        let peer = &self.stores[1 - i];
        let serving = peer.serving || mutant == Some(Mutant::BeatsSayNothing);
        let heard = self.reaches_peer(1 - i) && serving && !refuses(&self.stores[i].disk, peer.disk.epoch);
        let runs = matches!(self.stores[i].run, Run::Up | Run::Paused);
        let store = &mut self.stores[i];
        store.silence = match (store.serving || heard, runs) {
            (true, _) | (_, false) => 0,
            _ => (store.silence + 1).min(TICKS),
        };
    }
}
