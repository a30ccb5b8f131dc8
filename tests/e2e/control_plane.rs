//! The API server is away: mail, logins and restarts in place go on.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mail_operator::api::{MailSystem, Mailbox};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{World, eventually, run_alone, unique},
};

const LONG: Duration = Duration::from_mins(4);

/// Keeps the API server of the local cluster down; dropping it starts the server again, also when a test fails.
struct ApiAway;

impl ApiAway {
    fn begin() -> Self {
        cluster("api-kill");
        Self
    }
}

impl Drop for ApiAway {
    fn drop(&mut self) {
        cluster("api-start");
    }
}

fn cluster(verb: &str) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
    assert!(Command::new(script).arg(verb).status().unwrap().success(), "cluster {verb}");
}

/// The agent's process of a pod, found by the pod's control group: nodes of the local cluster share the host's kernel.
fn agent_of(pod: &Pod) -> Option<u32> {
    let uid = pod.uid()?;
    fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(
        |pid: &u32| {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            read("cgroup").contains(&uid)
                && read("cmdline").split('\0').next().is_some_and(|exe| exe.ends_with("mail-agent"))
        },
    )
}

async fn kill_agent(pod: &Pod) {
    let killed = agent_of(pod).unwrap_or_else(|| panic!("no agent in {}", pod.name_any()));
    assert!(Command::new("kill").args(["-9", &killed.to_string()]).status().unwrap().success());
    eventually(LONG, &format!("{} has a new agent", pod.name_any()), async || match agent_of(pod) {
        Some(pid) if pid != killed => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn mail_flows(world: &World, an: &crate::world::Account) {
    let subject = unique("offline");
    eventually(LONG, "mail is submitted and read", async || {
        let text = message(&an.address, &an.address, &subject, "x");
        let mut smtp =
            Smtp::submissions(world, &an.address, &an.password).await.map_err(|e| e.to_string())?;
        let reply = smtp.send(&an.address, &[&an.address], &text).await.map_err(|e| e.to_string())?;
        if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
    imap::wait_for(world, an, &subject).await;
}

#[test]
fn without_the_api_server_mail_flows_and_agents_restart_in_place() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let shard = world.api::<Mailbox>().get(&an.name).await.unwrap().status.unwrap().shard.unwrap();
        let mut pods = Vec::new();
        for name in
            ["mail-gateway-0".to_owned(), "mail-gateway-1".to_owned(), format!("mail-store-{shard}-0")]
        {
            pods.push(world.api::<Pod>().get(&name).await.unwrap());
        }
        {
            let _away = ApiAway::begin();
            mail_flows(world, &an).await;
            for pod in &pods {
                kill_agent(pod).await;
            }
            mail_flows(world, &an).await;
        }
        world.ready::<MailSystem>("mail", LONG).await;
        world.mailbox(json!({})).await;
    });
}
