//! Shards with two stores for the tests of those who ask for a store: nobody is probed, tests say what probes bring.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

use super::{
    Stores,
    choice::{Answer, Probe, Times},
};

/// One shard.
pub(crate) fn pair(times: Times) -> Stores {
    Stores::new("s-store-{shard}-{pod}.invalid").paired(1, times, 1)
}

/// A store of a shard at this address says its epoch, and whether it serves.
pub(crate) fn tell(
    stores: &Stores,
    (shard, pod): (u32, u32),
    (epoch, serving): (u64, bool),
    address: [u8; 4],
) {
    let at = Instant::now();
    let answer = Answer { epoch, serving, address: address.into(), at };
    stores.shard(shard).learn(pod, Probe::Answered(answer), at);
}

/// Nobody listens at a store any more.
pub(crate) fn end(stores: &Stores, (shard, pod): (u32, u32)) {
    stores.shard(shard).learn(pod, Probe::Ended, Instant::now());
}

/// Returns once somebody waits for the shard's primary.
pub(crate) async fn waited_for(stores: &Stores, shard: u32) {
    let start = Instant::now();
    while !stores.shard(shard).is_waited_for() {
        assert!(start.elapsed() < Duration::from_mins(1), "nobody waits");
        yield_now().await;
    }
}

impl Stores {
    pub(super) fn shard(&self, number: u32) -> &super::Shard {
        &self.pairs.as_ref().unwrap().shards[number as usize]
    }
}
