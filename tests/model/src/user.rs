//! One change by a user, and what was promised of it when it was acknowledged.

use crate::state::{Run, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Not made yet.
    None,
    /// On the disk of this store, before that store registered to be alone: hidden by a failover, back with the disk.
    Weak(usize),
    /// On the disk of this store, which had registered to be alone: no failover hides it.
    Solo(usize),
    /// On both disks.
    Strong,
    /// Declared lost, or lost with the only disk that had it.
    Void,
}

impl World {
    /// The user makes it on the serving store `at`; `sync`: the replica has it before the answer.
    pub fn make_change(&mut self, at: usize, sync: bool) {
        let class = if sync {
            Change::Strong
        } else if self.alone_is_registered(at) {
            Change::Solo(at)
        } else {
            Change::Weak(at)
        };
        self.stores[at].change = true;
        self.stores[at].log = !sync;
        self.stores[1 - at].change |= sync;
        self.change = class;
    }

    /// Where whoever takes over would look: the Lease, or the other's disk and memory.
    fn alone_is_registered(&self, at: usize) -> bool {
        let (me, peer) = (&self.stores[at], &self.stores[1 - at]);
        let epoch = me.disk.epoch;
        let in_lease = self.lease.epoch == epoch && !self.lease.in_sync;
        let at_peer = if peer.disk.epoch == epoch {
            peer.told != Some(epoch) || matches!(peer.run, Run::Down | Run::Gone)
        } else {
            peer.disk.vote == epoch
        };
        me.disk.alone && (in_lease || at_peer)
    }

    /// The rolling channel brings what the log names.
    pub fn replicate(&mut self, from: usize) {
        self.stores[1 - from].change = self.stores[from].change;
        self.stores[from].log = false;
        self.regrade();
    }

    /// A returning store pushes what only it has, before it is overwritten.
    pub fn push_leftover(&mut self, from: usize) {
        self.stores[1 - from].change |= self.stores[from].change;
        self.stores[1 - from].log = true;
        self.stores[from].log = false;
        self.regrade();
    }

    /// A returning or empty store gets everything of the primary.
    pub fn follow(&mut self, store: usize) {
        let epoch = self.stores[1 - store].disk.epoch;
        self.stores[store].disk = self.stores[store].disk.followed(epoch);
        self.stores[store].change = self.stores[1 - store].change;
        self.stores[store].attempt = None;
        self.stores[1 - store].log = false;
        self.regrade();
    }

    pub fn regrade(&mut self) {
        let both = self.stores.iter().all(|store| store.change);
        if both && matches!(self.change, Change::Weak(_) | Change::Solo(_)) {
            self.change = Change::Strong;
        }
    }

    pub fn disk_lost(&mut self, store: usize) {
        if self.change == Change::Weak(store) || self.change == Change::Solo(store) {
            self.change = Change::Void;
        }
    }

    /// The Lease no longer says who is alone.
    pub fn registration_lost(&mut self) {
        if let Change::Solo(at) = self.change
            && !self.alone_is_registered(at)
        {
            self.change = Change::Weak(at);
        }
    }

    /// A takeover by a store that may lack changes was declared, and status says so.
    pub fn declare_loss(&mut self) {
        if matches!(self.change, Change::Solo(_)) {
            self.change = Change::Void;
        }
    }
}
