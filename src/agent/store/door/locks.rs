//! One delivery at a time of a message into a mailbox: of two attempts, the second waits and then finds the first's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::journal::JournalId;

type Key = (String, JournalId);

/// All that are being delivered. Clones share it.
#[derive(Clone, Default)]
pub struct Locks(Arc<Mutex<HashMap<Key, Arc<Turn<()>>>>>);

/// While it is held, nobody else delivers the same.
pub struct Lock {
    locks: Locks,
    key: Key,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits until nobody delivers this message into one of these mailboxes. In their order, so that no two wait for one
    /// another.
    pub async fn take(&self, mut addresses: Vec<String>, id: JournalId) -> Vec<Lock> {
        addresses.sort_unstable();
        addresses.dedup();
        let mut taken = Vec::with_capacity(addresses.len());
        for address in addresses {
            let key = (address, id);
            let turn = self.with(|all| Arc::clone(all.entry(key.clone()).or_default()));
            let turn = Some(turn.lock_owned().await);
            taken.push(Lock { locks: self.clone(), key, turn });
        }
        taken
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<Key, Arc<Turn<()>>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.turn = None;
        self.locks.with(|all| {
            // Nobody else waits if the map alone holds it.
            if all.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
                all.remove(&self.key);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_message_waits_for_its_turn_and_nothing_is_left_behind() {
        let (locks, id) = (Locks::default(), JournalId::new(1, [1; 10]));
        let first = locks.take(vec!["b@x".into(), "a@x".into(), "a@x".into()], id).await;
        assert_eq!(first.len(), 2);
        drop(locks.take(vec!["a@x".into()], JournalId::new(1, [2; 10])).await);
        let second = tokio::spawn({
            let locks = locks.clone();
            async move { locks.take(vec!["a@x".into()], id).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(locks.with(|all| all.len()), 0);
    }
}
