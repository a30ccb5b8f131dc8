//! Why pods are not ready, in a sentence: pods and claims come in, the first trouble that a person could act on goes out.
//! Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::fetch::Troubles;
use crate::names::Component;

/// The longest excerpt of a foreign message.
const EXCERPT: usize = 200;

/// What keeps the pods of this component from being ready, as far as can be told.
#[must_use]
pub fn explain(troubles: &Troubles, component: Component) -> Option<String> {
    let mine = |labels: Option<&std::collections::BTreeMap<String, String>>| {
        labels
            .and_then(|labels| labels.get("app.kubernetes.io/component"))
            .is_some_and(|c| c == component.as_str())
    };
    let claim =
        troubles.claims.iter().filter(|claim| mine(claim.metadata.labels.as_ref())).find_map(|claim| {
            let pending = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending");
            let name = claim.metadata.name.as_deref()?;
            pending
                .then(|| format!("volume claim {name} is pending (`kubectl describe pvc {name}` tells why)"))
        });
    let pods = || troubles.pods.iter().filter(|pod| mine(pod.metadata.labels.as_ref()));
    // A pod that cannot be scheduled may wait for its claim, so the claim's trouble is told only if no pod has its own.
    pods()
        .find_map(waiting)
        .or(claim)
        .or_else(|| pods().find_map(unscheduled))
        .or_else(|| pods().find_map(not_ready))
}

/// What keeps one pod from running.
#[must_use]
pub fn of_pod(pod: &Pod) -> Option<String> {
    waiting(pod).or_else(|| unscheduled(pod))
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().flatten().chain(main.into_iter().flatten())
}

/// A container that waits for something other than its turn.
fn waiting(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref()?;
    statuses(pod).find_map(|status| {
        let waiting = status.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        let message =
            waiting.message.as_deref().map(|message| format!(": {}", excerpt(message))).unwrap_or_default();
        let usual = ["PodInitializing", "ContainerCreating"].contains(&reason);
        (!usual).then(|| format!("container {} of pod {name} waits, {reason}{message}", status.name))
    })
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref()?;
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let message =
        condition.message.as_deref().map(|message| format!(": {}", excerpt(message))).unwrap_or_default();
    Some(format!("pod {name} is not scheduled{message}"))
}

fn not_ready(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref()?;
    let starting: Vec<_> =
        statuses(pod).filter(|s| !s.ready && s.started != Some(true)).map(|s| s.name.as_str()).collect();
    let unready: Vec<_> =
        statuses(pod).filter(|s| !s.ready && s.started == Some(true)).map(|s| s.name.as_str()).collect();
    if let Some(container) = unready.first() {
        return Some(format!("container {container} of pod {name} runs and does not answer"));
    }
    starting.first().map(|container| format!("container {container} of pod {name} is starting"))
}

fn excerpt(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;

    fn pod(yaml: &str) -> Pod {
        let mut pod: Pod = serde_saphyr::from_str(yaml).unwrap();
        pod.metadata.labels = Some([("app.kubernetes.io/component".to_owned(), "store".to_owned())].into());
        pod
    }

    #[test]
    fn the_trouble_a_person_can_act_on_is_told_first() {
        let mut claim: PersistentVolumeClaim =
            serde_saphyr::from_str("{metadata: {name: data-s-store-0-0}, status: {phase: Pending}}").unwrap();
        claim.metadata.labels = pod("{}").metadata.labels;
        let unscheduled = pod(
            "{metadata: {name: p}, status: {conditions: [{type: PodScheduled, status: 'False', message: '0/3 nodes'}]}}",
        );
        let mut troubles = Troubles { pods: vec![unscheduled.clone()], claims: Vec::new() };
        assert_eq!(explain(&troubles, Component::Store).unwrap(), "pod p is not scheduled: 0/3 nodes");
        assert_eq!(explain(&troubles, Component::Gateway), None);
        troubles.claims.push(claim);
        assert!(
            explain(&troubles, Component::Store)
                .unwrap()
                .starts_with("volume claim data-s-store-0-0 is pending")
        );
        troubles.pods.push(pod(
            "{metadata: {name: q}, status: {containerStatuses: [{name: cyrus, image: x, imageID: x, ready: false, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}}]}}",
        ));
        assert_eq!(
            explain(&troubles, Component::Store).unwrap(),
            "container cyrus of pod q waits, CrashLoopBackOff: back-off"
        );
    }

    #[test]
    fn a_container_that_starts_is_told_from_one_that_does_not_answer() {
        let status = |started| {
            format!(
                "{{metadata: {{name: p}}, status: {{containerStatuses: [{{name: cyrus, image: x, imageID: x, ready: false, restartCount: 0, started: {started}}}]}}}}"
            )
        };
        let told = |yaml: &str| {
            explain(&Troubles { pods: vec![pod(yaml)], claims: Vec::new() }, Component::Store).unwrap()
        };
        assert_eq!(told(&status(false)), "container cyrus of pod p is starting");
        assert_eq!(told(&status(true)), "container cyrus of pod p runs and does not answer");
    }
}
