//! The ServiceAccounts of the agents. What they may do is written with the Secrets they may read. Pure.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::pod;
use crate::{names::Component, operator::system::validated::Validated};

/// The account of a component's agent. Pods that want its token say so themselves.
pub fn account(v: &Validated, component: Component) -> ServiceAccount {
    ServiceAccount {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
