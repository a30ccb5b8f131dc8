//! The role in the pods' labels, for people and for Services of their own. Gateways do not use it: they ask the agents.
//!
//! A pod template does not carry the label, so that the StatefulSet leaves it alone; a new pod has none until it was seen.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Error,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Shard, Store};
use crate::names::{MANAGER, PRIMARY, REPLICA, ROLE_LABEL};

/// Which labels differ from what was seen, those that take the primary's away first. A store that does not answer keeps its
/// label until the other serves. Pure.
#[must_use]
pub fn wanted(shard: &Shard) -> Vec<(&Store, &'static str)> {
    let primary = shard.primary().map(|(store, _)| store.pod.as_str());
    let role = |store: &Store| match primary {
        Some(pod) if pod == store.pod => Some(PRIMARY),
        Some(_) => Some(REPLICA),
        None => store.said.as_ref().map(|_| REPLICA),
    };
    let mut wanted: Vec<_> = shard
        .stores
        .iter()
        .filter_map(|store| Some((store, role(store)?)))
        .filter(|(store, role)| store.label.as_deref() != Some(role))
        .collect();
    wanted.sort_by_key(|(_, role)| *role == PRIMARY);
    wanted
}

/// Writes the label, if the pod is still the one that was seen.
///
/// # Errors
/// The API server's; that the pod is gone is none.
pub async fn write(client: &Client, namespace: &str, store: &Store, role: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // The uid makes the API server refuse the next pod of the name.
    let patch = json!({"metadata": {"uid": store.uid, "labels": {ROLE_LABEL: role}}});
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match pods.patch_metadata(&store.pod, &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operator::switchover::observe::tests::{report, shard},
        role::Phase,
    };

    fn names(shard: &Shard) -> Vec<(&str, &str)> {
        wanted(shard).into_iter().map(|(store, role)| (store.pod.as_str(), role)).collect()
    }

    #[test]
    fn the_former_primary_loses_its_label_before_the_new_one_gets_it() {
        let mut turned = shard([Some(report(0, 5, Phase::Primary)), Some(report(1, 5, Phase::CatchingUp))]);
        turned.stores[1].label = Some(PRIMARY.to_owned());
        turned.stores[0].label = Some(REPLICA.to_owned());
        assert_eq!(names(&turned), [("demo-store-0-1", REPLICA), ("demo-store-0-0", PRIMARY)]);
        turned.stores[1].label = Some(REPLICA.to_owned());
        turned.stores[0].label = Some(PRIMARY.to_owned());
        assert_eq!(names(&turned), []);
    }

    #[test]
    fn one_that_does_not_answer_keeps_its_label_until_the_other_serves() {
        let mut silent = shard([None, Some(report(1, 4, Phase::Waiting))]);
        silent.stores[0].label = Some(PRIMARY.to_owned());
        silent.stores[1].label = Some(REPLICA.to_owned());
        assert_eq!(names(&silent), []);
        silent.stores[1].said = Some(report(1, 5, Phase::Primary));
        assert_eq!(names(&silent), [("demo-store-0-0", REPLICA), ("demo-store-0-1", PRIMARY)]);
    }

    #[test]
    fn who_stopped_serving_is_no_primary_though_nobody_is() {
        let mut none = shard([Some(report(0, 4, Phase::Waiting)), None]);
        none.stores[0].label = Some(PRIMARY.to_owned());
        assert_eq!(names(&none), [("demo-store-0-0", REPLICA)]);
    }
}
