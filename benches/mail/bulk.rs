//! Ten thousand mailboxes at once, and a restart with them.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use mail_operator::{api::Mailbox, conditions};
use serde_json::json;

use crate::{
    figures::{api_writes, row},
    imap,
    world::{DOMAIN, World, eventually, parse, unique},
};

/// Creates `count` mailboxes as fast as the API server takes them, and waits until all are served.
pub(crate) async fn apply_many(world: &World, count: usize) {
    let before = api_writes(&world.client).await;
    let (api, prefix, began) = (world.api::<Mailbox>(), unique("n"), Instant::now());
    stream::iter(0..count)
        .for_each_concurrent(32, |n| {
            let (api, name) = (api.clone(), format!("{prefix}-{n}"));
            async move {
                let spec = json!({"address": format!("{name}@{DOMAIN}")});
                let object = parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}));
                api.create(&PostParams::default(), &object).await.expect("created");
            }
        })
        .await;
    let created = began.elapsed();
    eventually(Duration::from_mins(30), "all mailboxes are ready", async || {
        let all = api.list(&ListParams::default()).await.map_err(|e| e.to_string())?;
        let ready =
            |m: &&Mailbox| m.status.as_ref().is_some_and(|s| conditions::is_true(&s.conditions, "Ready"));
        let left = all.items.len() - all.items.iter().filter(ready).count();
        if left == 0 {
            Ok(())
        } else {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err(format!("{left} are not"))
        }
    })
    .await;
    let served = began.elapsed();
    for n in [0, count / 2, count - 1] {
        let name = format!("{prefix}-{n}");
        let data = world.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap().data.unwrap();
        imap::log_in(world, &format!("{name}@{DOMAIN}"), &String::from_utf8_lossy(&data["password"].0))
            .await
            .unwrap();
    }
    let writes = api_writes(&world.client).await - before - count as u64;
    row(&format!("{count} mailboxes created by the client"), &format!("{:.0} s", created.as_secs_f64()));
    row(
        &format!("{count} mailboxes all served"),
        &format!("{:.0} s after the first was created", served.as_secs_f64()),
    );
    row("API writes of the operator per mailbox", &format!("{:.2}", writes as f64 / count as f64));
}

/// Restarts the operator and counts what it writes.
pub(crate) async fn restart(world: &World) {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "mail-system");
    let mine = ListParams::default().labels("app.kubernetes.io/name=mail-operator");
    let before = api_writes(&world.client).await;
    pods.delete_collection(&DeleteParams::default(), &mine).await.expect("the operator's pods");
    tokio::time::sleep(Duration::from_secs(90)).await;
    row(
        "writes to our objects within 90 s of a restart",
        &format!("{}", api_writes(&world.client).await - before),
    );
    row("resident memory of the operator", &format!("{} MiB", resident_memory() >> 10));
}

/// The largest resident set among the operator's processes, in KiB: nodes of the local cluster share the host's kernel.
fn resident_memory() -> u64 {
    let status = |pid: std::ffi::OsString| {
        std::fs::read_to_string(std::path::Path::new("/proc").join(pid).join("status")).ok()
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| status(entry.file_name()));
    let field =
        |text: &str, name: &str| text.lines().find_map(|l| Some(l.strip_prefix(name)?.trim().to_owned()));
    texts
        .filter(|text| field(text, "Name:").as_deref() == Some("mail-operator"))
        .filter_map(|text| field(&text, "VmRSS:")?.split(' ').next()?.parse().ok())
        .max()
        .unwrap_or_default()
}
