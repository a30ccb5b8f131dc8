//! Disruption budgets: a drain takes one pod of a component, or of a store's shard, at a time. Pure.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{pod, store};
use crate::{names::Component, operator::system::validated::Validated};

/// The budget of a component other than the stores.
pub fn budget(v: &Validated, component: Component) -> PodDisruptionBudget {
    one_at_a_time(pod::meta(v, v.name.component(component), Some(component)), pod::selector(v, component))
}

/// The budget of a shard: of its two stores the one that serves is not taken while the other lacks something.
pub fn shard_budget(v: &Validated, shard: u32) -> PodDisruptionBudget {
    one_at_a_time(store::meta(v, shard), store::selector(v, shard))
}

/// Pods that do not serve anyway never hold up a drain.
fn one_at_a_time(metadata: ObjectMeta, selector: LabelSelector) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata,
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
