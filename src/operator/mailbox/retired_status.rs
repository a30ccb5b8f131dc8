//! What is said of retired mail, and what stores said of it.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{
    controller::Controller,
    index::{Key, Published, digest},
    statuses::{Target, Word},
};
use crate::{
    api::RetiredMailboxStatus,
    conditions::{self, Finding},
    directory::{Keeping, Retired},
    names::SystemName,
};

impl Controller {
    /// What a store said of retired mail: it is kept, or there is none (any more).
    pub(super) fn confirm_retired(&mut self, key: &Key) {
        let Some((name, uid)) = self.retirements.owner(key) else { return };
        let Some(record) = self.index.records(&name).and_then(|records| records.get(&uid)).cloned() else {
            return;
        };
        match self.agents.keeping(&name, record.store, &uid) {
            Some(Keeping::Absent) => {
                if record.purge {
                    self.metrics.purged.inc();
                    tracing::info!(retired = %key, address = record.address, "retired mail is purged");
                }
                self.index.strike_off(&name, &uid);
                self.retirements.changed = true;
            }
            Some(Keeping::Kib(size)) => self.say_retired(key, Some(size)),
            Some(Keeping::Moving) | None => {}
        }
    }

    /// Whether a store has said what [`Controller::confirm_retired`] waits for.
    pub(super) fn is_retired(&self, name: &SystemName, uid: &str, record: &Retired) -> bool {
        match self.agents.keeping(name, record.store, uid) {
            Some(Keeping::Absent) => true,
            Some(Keeping::Kib(_)) => !record.purge,
            Some(Keeping::Moving) | None => false,
        }
    }

    pub(super) fn say_retired(&mut self, key: &Key, kib: Option<u64>) {
        let Some(fact) = self.retirements.objects.get(key) else { return };
        let finding = match kib {
            Some(_) => {
                Finding::yes("Ready", "Kept", "The mail is kept, out of everybody's reach, until purgeAfter.")
            }
            None => Finding::no("Ready", "Purging", "The mail is being deleted."),
        };
        let (now, generation) = (Time(Timestamp::now()), Some(fact.meta.generation));
        let conditions = conditions::merge(&fact.status.conditions, &[finding], generation, &now);
        let size = kib.map(size).or_else(|| fact.status.size.clone());
        let status = RetiredMailboxStatus { observed_generation: generation, size, conditions };
        let new = digest(&status, |status| &mut status.conditions);
        if new == digest(&fact.status, |status| &mut status.conditions) {
            return;
        }
        let Ok(value) = serde_json::to_value(&status) else { return };
        let trouble = status.conditions;
        let published = Published { digest: new, ..Published::default() };
        let word = Word { uid: fact.meta.uid.to_string(), status: value, published, trouble };
        self.statuses.push(Target::Retired(key.clone()), word);
    }
}

/// A quantity of whole mebibytes, or of kibibytes if it is less than ten.
pub(super) fn size(kib: u64) -> String {
    if kib >= 10 << 10 { format!("{}Mi", kib >> 10) } else { format!("{kib}Ki") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_quantities() {
        assert_eq!((size(0), size(10_239), size(10_240)), ("0Ki".into(), "10239Ki".into(), "10Mi".into()));
    }
}
