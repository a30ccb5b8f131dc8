//! What is left of a system after a test of it failed: the stores' and gateways' logs, the Lease, the pods and the Events.
//! It must not fail itself: what cannot be had is left out.

use std::{fs, path::PathBuf, time::Duration};

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Event, Pod},
};
use kube::{
    ResourceExt,
    api::{ListParams, LogParams},
};
use mail_operator::api::MailSystem;
use serde::Serialize;
use tokio::time::timeout;

use super::{pair::Pair, story::say};

const PATIENCE: Duration = Duration::from_secs(20);
const LINES: i64 = 20_000;

/// Writes it down, and says where.
pub(crate) async fn keep(pair: &Pair) {
    let test = std::thread::current().name().unwrap_or("failover").replace("::", ".");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    if fs::create_dir_all(&folder).is_err() {
        return;
    }
    say(format!("what the pods of {} logged is in {}", pair.world.namespace, folder.display()));
    let (world, list) = (&pair.world, ListParams::default());
    let pods = timeout(PATIENCE, world.api::<Pod>().list(&list)).await;
    let pods = pods.ok().and_then(Result::ok).map(|pods| pods.items).unwrap_or_default();
    write(&folder, "pods", &pods);
    let reports = pair.reports().await;
    let _ = fs::write(folder.join("roles"), format!("{reports:#?}"));
    if let Ok(Ok(leases)) = timeout(PATIENCE, world.api::<Lease>().list(&list)).await {
        write(&folder, "leases", &leases.items);
    }
    if let Ok(Ok(events)) = timeout(PATIENCE, world.api::<Event>().list(&list)).await {
        write(&folder, "events", &events.items);
    }
    if let Ok(Ok(systems)) = timeout(PATIENCE, world.api::<MailSystem>().list(&list)).await {
        write(&folder, "systems", &systems.items);
    }
    for pod in &pods {
        logs(pair, &folder, pod).await;
    }
}

fn write(folder: &std::path::Path, name: &str, what: &impl Serialize) {
    let _ = fs::write(folder.join(name), serde_json::to_vec_pretty(what).unwrap_or_default());
}

/// Of all containers, those that ended as well.
async fn logs(pair: &Pair, folder: &std::path::Path, pod: &Pod) {
    let name = pod.name_any();
    let Some(spec) = &pod.spec else { return };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    for container in containers {
        for previous in [true, false] {
            let params = LogParams {
                container: Some(container.name.clone()),
                previous,
                tail_lines: Some(LINES),
                timestamps: true,
                ..LogParams::default()
            };
            let log = timeout(PATIENCE, pair.world.api::<Pod>().logs(&name, &params)).await;
            if let Ok(Ok(log)) = log {
                let which = if previous { "former.log" } else { "log" };
                let _ = fs::write(folder.join(format!("{name}.{}.{which}", container.name)), log);
            }
        }
    }
}
