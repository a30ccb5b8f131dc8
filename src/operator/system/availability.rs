//! `GatewayAvailable`, `StoreAvailable`, `AntispamAvailable`, `AntivirusAvailable`: from workloads and problems to findings.
//! Pure.

use super::{
    problems::{Problem, Weight},
    status::without_scanner,
    workloads::{Workload, Workloads},
};
use crate::{
    api::system::OnFailure, conditions::Finding, names::Component, operator::switchover::judge::Served,
};

/// Tells why the pods of a component are not ready, if that is known.
pub type Trouble<'a> = dyn Fn(Component) -> Option<String> + Send + Sync + 'a;

/// The findings, in the order in which they are reported. `served` is what stores say where each shard has two.
#[must_use]
pub fn findings(
    workloads: &Workloads,
    problems: &[Problem],
    on_failure: OnFailure,
    (trouble, served): (&Trouble, Option<&Served>),
) -> Vec<Finding> {
    let gateway: Vec<_> = vec![workloads.gateway.as_ref().map(Workload::from)];
    let stores: Vec<_> = workloads.stores.iter().map(|set| set.as_ref().map(Workload::from)).collect();
    let antispam = vec![workloads.antispam.as_ref().map(Workload::from)];
    let antivirus = vec![workloads.antivirus.as_ref().map(Workload::from)];
    let of = |type_, component, parts: &[Option<Workload>]| {
        let why = trouble(component);
        weigh(base(type_, parts, why.as_deref()), problems, component)
    };
    let mut antispam = of("AntispamAvailable", Component::Antispam, &antispam);
    let cache = workloads.cache.as_ref().map(Workload::from);
    if antispam.status == Some(true) && !cache.is_some_and(|cache| cache.full()) {
        let why = trouble(Component::Cache).map(|why| format!(": {why}")).unwrap_or_default();
        antispam.reason = "Degraded";
        antispam.message =
            format!("{}; its cache is not ready, so it judges without memory{why}", antispam.message);
    }
    let mut antivirus = of("AntivirusAvailable", Component::Antivirus, &antivirus);
    if on_failure == OnFailure::Accept || antivirus.status != Some(true) {
        let when =
            if antivirus.status == Some(true) { "when no scanner answers, " } else { "without a scanner " };
        antivirus.message = format!("{}; {when}{}", antivirus.message, without_scanner(on_failure));
    }
    let stores = match served {
        None => of("StoreAvailable", Component::Store, &stores),
        Some(served) => {
            let why = trouble(Component::Store);
            weigh(pairs("StoreAvailable", &stores, (served, why)), problems, Component::Store)
        }
    };
    vec![of("GatewayAvailable", Component::Gateway, &gateway), stores, antispam, antivirus]
}

/// One pod that is ready is enough for a workload, and every workload is needed: a shard's mail is nowhere else.
fn base(type_: &'static str, parts: &[Option<Workload>], why: Option<&str>) -> Finding {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let down = parts.iter().flatten().find(|part| part.observed && part.ready == 0);
    if let Some(down) = down {
        return Finding::no(type_, "Unavailable", format!("no pod of {} is ready{why}", down.name));
    }
    if parts.iter().flatten().count() < parts.len() || parts.iter().flatten().any(|part| !part.observed) {
        return Finding::unknown(type_, "NotObserved", "its pods have not been looked at yet");
    }
    if let Some(part) = parts.iter().flatten().find(|part| !part.full()) {
        let message = format!("{} of {} pods of {} are ready{why}", part.ready, part.desired, part.name);
        return Finding::yes(type_, "Degraded", message);
    }
    let pods: u32 = parts.iter().flatten().map(|part| part.ready).sum();
    Finding::yes(
        type_,
        "Available",
        if pods == 1 { "its pod is ready".to_owned() } else { format!("all {pods} pods are ready") },
    )
}

/// Of two stores one that says that it serves is enough, whatever is said of the pods; and without one no pod that is ready
/// helps.
fn pairs(
    type_: &'static str,
    parts: &[Option<Workload>],
    (served, why): (&Served, Option<String>),
) -> Finding {
    let Served { missing, silent, second } = served;
    let pods = base(type_, parts, second.as_deref().or(why.as_deref()));
    if missing.is_empty() {
        return match pods.status {
            Some(true) => pods,
            // Its agent says that it serves: the kubelet will have seen it soon.
            Some(false) => {
                Finding::yes(type_, "Degraded", format!("every shard is served; {}", pods.message))
            }
            None => Finding::yes(type_, "Available", "every shard is served"),
        };
    }
    if *silent && pods.status != Some(false) {
        // Nobody answers the operator; that says nothing of those who ask for their mail.
        let message = format!("no store tells whether it serves; {}", pods.message);
        return Finding::unknown(type_, "NotObserved", message);
    }
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Finding::no(type_, "Unavailable", format!("{}{why}", missing.join("; ")))
}

fn weigh(mut finding: Finding, problems: &[Problem], component: Component) -> Finding {
    for problem in problems.iter().filter(|problem| problem.component == component) {
        let decides = match problem.weight {
            Weight::Hint => false,
            Weight::Explains => finding.status != Some(true),
            Weight::Fails => true,
        };
        if decides {
            finding = Finding::no(finding.type_, problem.reason, problem.message.clone());
        } else if problem.weight == Weight::Hint {
            finding.message = format!("{}; {}", finding.message, problem.message);
        }
    }
    finding
}
