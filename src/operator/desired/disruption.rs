//! Disruption budgets: a drain takes one pod of a component at a time. Pure.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::pod;
use crate::{names::Component, operator::system::validated::Validated};

/// The budget of a component. Pods that do not serve anyway never hold up a drain.
pub fn budget(v: &Validated, component: Component) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(pod::selector(v, component)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
