//! Epochs grow without end while stores attempt and fail. Rules compare them, ask for their parity, and count up from the
//! highest, so worlds that differ in nothing but the gaps between epochs behave alike: all are replaced by the one with the
//! smallest numbers, and the search is finite.

use crate::{
    failover::{Epoch, Standing},
    state::{Backup, World, epoch},
};

impl World {
    /// The same world with the smallest numbers of the same order and parity.
    pub fn renumbered(mut self) -> Self {
        // A backup may bring back its own epoch at any time.
        let mut known = vec![Epoch::NONE, Self::backup(Backup::Old).epoch, Self::backup(Backup::Now).epoch];
        self.each_epoch(&mut |number| known.push(*number));
        known.sort_unstable();
        known.dedup();
        let mut least = vec![Epoch::NONE];
        for pair in known.windows(2) {
            let above = least[least.len() - 1].number() + 1;
            let same_parity = (above + pair[1].number()).is_multiple_of(2);
            least.push(epoch(if same_parity { above } else { above + 1 }));
        }
        self.each_epoch(&mut |number| {
            if let Ok(place) = known.binary_search(number) {
                *number = least[place];
            }
        });
        self
    }

    fn each_epoch(&mut self, visit: &mut impl FnMut(&mut Epoch)) {
        visit(&mut self.lease.epoch);
        for store in &mut self.stores {
            for number in [&mut store.disk.epoch, &mut store.disk.promise, &mut store.disk.vote] {
                visit(number);
            }
            store.told.iter_mut().chain(&mut store.yielded).for_each(&mut *visit);
            store.attempt.iter_mut().for_each(|attempt| visit(&mut attempt.epoch));
            store.heard.iter_mut().for_each(|standing| of_standing(standing, visit));
        }
    }
}

fn of_standing(standing: &mut Standing, visit: &mut impl FnMut(&mut Epoch)) {
    for number in [&mut standing.disk.epoch, &mut standing.disk.promise, &mut standing.disk.vote] {
        visit(number);
    }
    standing.told_in_sync.iter_mut().chain(&mut standing.yielded).for_each(visit);
}
