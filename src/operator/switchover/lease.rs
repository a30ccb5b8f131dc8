//! A shard's Lease, as one reads it who has no vote. Pure.

use k8s_openapi::api::coordination::v1::Lease;

use crate::names::lease::{DECLARE_LOST, EPOCH, IN_SYNC, RELEASED, SWITCHOVER};

/// What a shard's Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseSeen {
    /// The epoch; 0: nobody ever served.
    pub epoch: u64,
    /// The holder registered that the other store has everything.
    pub in_sync: bool,
    /// The holder has stopped serving.
    pub released: bool,
    /// Somebody ordered that this epoch ends.
    pub switchover: bool,
    /// The pod whose disk was declared lost in this epoch.
    pub lost: Option<String>,
    /// Its version, which every renewal changes.
    pub version: String,
}

impl LeaseSeen {
    /// Reads it; `None` if its epoch is no number, which no agent writes.
    #[must_use]
    pub fn of(lease: &Lease) -> Option<Self> {
        let none = std::collections::BTreeMap::new();
        let annotations = lease.metadata.annotations.as_ref().unwrap_or(&none);
        let epoch: u64 = annotations.get(EPOCH).map_or(Some(0), |text| text.parse().ok())?;
        let is = |key| annotations.get(key).is_some_and(|text| text == "true");
        let now = epoch.to_string();
        let lost = annotations.get(DECLARE_LOST).and_then(|text| text.rsplit_once('@'));
        Some(Self {
            epoch,
            in_sync: is(IN_SYNC),
            released: is(RELEASED),
            switchover: annotations.get(SWITCHOVER) == Some(&now),
            lost: lost.filter(|(_, of)| *of == now).map(|(pod, _)| pod.to_owned()),
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
        })
    }

    /// The ordinal of the pod whose epoch it is; `None` if nobody ever served.
    #[must_use]
    pub const fn holder(&self) -> Option<u64> {
        if self.epoch == 0 { None } else { Some(self.epoch % 2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(annotations: &[(&str, &str)]) -> Lease {
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut lease = Lease::default();
        lease.metadata.annotations = Some(pairs.collect());
        lease
    }

    #[test]
    fn orders_count_for_the_epoch_that_they_name() {
        let seen = LeaseSeen::of(&lease(&[
            (EPOCH, "7"),
            (IN_SYNC, "true"),
            (SWITCHOVER, "7"),
            (DECLARE_LOST, "s-store-0-0@7"),
        ]))
        .unwrap();
        assert!(seen.in_sync && seen.switchover && !seen.released);
        assert_eq!((seen.holder(), seen.lost.as_deref()), (Some(1), Some("s-store-0-0")));
        let later =
            LeaseSeen::of(&lease(&[(EPOCH, "8"), (SWITCHOVER, "7"), (DECLARE_LOST, "s-store-0-0@7")]));
        assert_eq!(later, Some(LeaseSeen { epoch: 8, ..LeaseSeen::default() }));
    }

    #[test]
    fn a_new_lease_has_no_holder_and_words_are_no_epoch() {
        assert_eq!(LeaseSeen::of(&Lease::default()).unwrap().holder(), None);
        assert_eq!(LeaseSeen::of(&lease(&[(EPOCH, "x")])), None);
    }
}
