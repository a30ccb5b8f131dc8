//! The operator itself: its memory, and what a restart costs.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams},
};
use mail_operator::api::{MailDomain, MailSystem, Mailbox};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    figures::row,
    world::{DOMAIN, World, parse, unique},
    writes::Writes,
};

/// How long a restarted operator is watched.
const WATCHED: Duration = Duration::from_secs(90);

/// Restarts every operator and counts what they write; then once more, to see when they work again.
pub(crate) async fn restart(world: &World) {
    let (before, objects) = (Writes::now(&world.client).await, versions(world).await);
    delete_pods(world).await;
    tokio::time::sleep(WATCHED).await;
    let (writes, after) = (Writes::now(&world.client).await - before, versions(world).await);
    let changed = after.iter().filter(|(name, version)| objects.get(*name) != Some(*version));
    let names: Vec<_> = changed.map(|(name, _)| name.as_str()).collect();
    let (seconds, few) = (WATCHED.as_secs(), names[..names.len().min(20)].join(", "));
    row(
        &format!("objects changed within {seconds} s of a restart (goal 0)"),
        &format!("{} {few}", names.len()),
    );
    row("requests for it, server-side applies that change nothing", &format!("{} ({writes})", writes.all()));
    row("memory of the operator after it", &memory());

    delete_pods(world).await;
    let (began, name) = (Instant::now(), unique("after"));
    let spec = json!({"address": format!("{name}@{DOMAIN}")});
    world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
    world.ready::<Mailbox>(&name, Duration::from_mins(5)).await;
    row(
        "a mailbox applied while all operators restart is served",
        &format!("after {:.1} s", began.elapsed().as_secs_f64()),
    );
}

/// The versions of all objects that follow from mailboxes.
async fn versions(world: &World) -> HashMap<String, Option<String>> {
    let mut versions = HashMap::new();
    add_versions(world.api::<Mailbox>(), &mut versions).await;
    add_versions(world.api::<MailDomain>(), &mut versions).await;
    add_versions(world.api::<MailSystem>(), &mut versions).await;
    add_versions(world.api::<Secret>(), &mut versions).await;
    versions
}

async fn add_versions<K>(api: Api<K>, to: &mut HashMap<String, Option<String>>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    for object in api.list_metadata(&ListParams::default()).await.expect("a listing") {
        to.insert(format!("{} {}", K::kind(&()), object.name_any()), object.resource_version());
    }
}

async fn delete_pods(world: &World) {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "mail-system");
    let mine = ListParams::default().labels("app.kubernetes.io/name=mail-operator");
    pods.delete_collection(&DeleteParams::default(), &mine).await.expect("the operator's pods");
}

/// Of the operator that works: nodes of the local cluster share the host's kernel, so its processes are seen here.
pub(crate) fn memory() -> String {
    let status = |pid: OsString| fs::read_to_string(Path::new("/proc").join(pid).join("status")).ok();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let field = |text: &str, name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    let mebibytes = |text: &str, name: &str| {
        field(text, name).and_then(|value| value.split(' ').next()?.parse::<u64>().ok()).unwrap_or_default()
            >> 10
    };
    entries
        .filter_map(|entry| status(entry.file_name()))
        .filter(|text| field(text, "Name:").as_deref() == Some("mail-operator"))
        .map(|text| (mebibytes(&text, "VmRSS:"), mebibytes(&text, "VmHWM:")))
        .max()
        .map_or("not on this machine".to_owned(), |(now, most)| format!("{now} MiB, at most {most} MiB"))
}
