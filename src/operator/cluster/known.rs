//! Which objects are known to be the operator's own, by their uids: what was looked at once need not be again. Without IO.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::names::SystemName;

/// Uids by kind and name.
type Objects = HashMap<(String, String), String>;

/// The uids of objects that are known to be the operator's own, by system.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<SystemName, Objects>>);

impl Known {
    /// The uid of an object of the system, if it is known to be ours.
    pub fn get(&self, system: &SystemName, kind: &str, name: &str) -> Option<String> {
        self.systems().get(system)?.get(&(kind.to_owned(), name.to_owned())).cloned()
    }

    /// The object is ours.
    pub fn learn(&self, system: &SystemName, kind: &str, name: &str, uid: String) {
        let mut systems = self.systems();
        systems.entry(system.clone()).or_default().insert((kind.to_owned(), name.to_owned()), uid);
    }

    /// The object is another one.
    pub fn forget(&self, system: &SystemName, kind: &str, name: &str) {
        if let Some(objects) = self.systems().get_mut(system) {
            objects.remove(&(kind.to_owned(), name.to_owned()));
        }
    }

    /// The system is gone.
    pub fn forget_system(&self, system: &SystemName) {
        self.systems().remove(system);
    }

    fn systems(&self) -> MutexGuard<'_, HashMap<SystemName, Objects>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
