//! An agent's copy of the directory follows the Secrets of a real API server, with no more rights than an agent has.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use mail_operator::{
    agent::directory::{Disk, Replica, follow},
    api::MailboxState,
    directory::{CONTENT, Entry, ISSUED, Index, MailboxEntry, Shard, encode_index, encode_shard, shard_of},
    names::SystemName,
};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    harness::{TestApi, api},
    operator::eventually,
};

/// A directory in the cluster, as the operator would write it.
struct Directory {
    system: SystemName,
    secrets: Api<Secret>,
}

impl Directory {
    fn new(api: &TestApi) -> Self {
        let system = SystemName::new(&api.namespace, "s");
        Self { system, secrets: Api::namespaced(api.client.clone(), &api.namespace) }
    }

    async fn write(&self, name: &str, issued: u64, content: Vec<u8>) {
        let data = [(ISSUED, issued.to_string().into_bytes()), (CONTENT, content)];
        let data: BTreeMap<_, _> = data.into_iter().map(|(key, bytes)| (key, ByteString(bytes))).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data});
        self.secrets.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
    }

    async fn index(&self, shards: u32, issued: u64) {
        let index = Index { shards, domains: vec!["x.vn".into()], token_key: "a".repeat(64) };
        self.write(&self.system.directory(), issued, encode_index(&index).unwrap()).await;
    }

    /// Writes shard `position` of `count` with `an@x.vn` in `store`, if it belongs there.
    async fn shard(&self, (count, position): (u32, u32), issued: u64, store: u32) {
        let entry = MailboxEntry { store, state: MailboxState::Active, quota: 1, credential: None };
        let entries = [("an@x.vn".to_owned(), Entry::Mailbox(entry))];
        let entries = entries.into_iter().filter(|(at, _)| shard_of(at, count) == position).collect();
        let content = encode_shard(&Shard { entries }).unwrap();
        self.write(&self.system.directory_shard(count, position), issued, content).await;
    }
}

/// An agent that follows, until it is dropped.
struct Agent {
    replica: Replica,
    _shutdown: DropGuard,
}

fn agent(directory: &Directory, disk: &std::path::Path, client: Client) -> Agent {
    let shutdown = CancellationToken::new();
    let disk = Disk::open(disk).unwrap();
    let replica = follow(directory.system.clone(), disk, async { client }, shutdown.clone());
    Agent { replica, _shutdown: shutdown.drop_guard() }
}

async fn until_store_is(agent: &Agent, store: Option<u32>) {
    let find = async || agent.replica.find("an@x.vn").map(|found| found.entry.store);
    eventually(find, |found| *found == store).await;
}

/// Gives service account `agent` the rights to these Secrets and no others.
fn allow(api: &TestApi, names: &[&str]) {
    let names = names.join(",");
    let namespace = ["-n", &api.namespace];
    let role = ["create", "role", "agent", "--verb=get,list,watch", "--resource=secrets"];
    let manifest = api.run(
        "kubectl",
        &[&role[..], &["--resource-name", &names, "--dry-run=client", "-o", "yaml"], &namespace].concat(),
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    api.run("kubectl", &[&["apply", "-f", file.path().to_str().unwrap()][..], &namespace].concat());
}

fn bind(api: &TestApi) {
    let account = format!("--serviceaccount={}:agent", api.namespace);
    api.run("kubectl", &["create", "rolebinding", "agent", "--role=agent", &account, "-n", &api.namespace]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_follows_the_secrets_it_may_read_by_name_and_goes_on_without_them() {
    let api = api("directory").await;
    let directory = Directory::new(&api);
    let disk = tempfile::tempdir().unwrap();
    // It starts before there is anything, without any right.
    let agent = agent(&directory, disk.path(), api.as_service_account(&api.namespace, "agent"));
    directory.shard((1, 0), 1, 3).await;
    directory.index(1, 1).await;
    assert!(!agent.replica.loaded());
    allow(&api, &["s-directory", "s-directory-1-0"]);
    bind(&api);
    until_store_is(&agent, Some(3)).await;

    // A change of one Secret is there at once.
    let mut slowest = Duration::ZERO;
    for issued in 2..12 {
        directory.shard((1, 0), issued, u32::try_from(issued).unwrap()).await;
        let written = Instant::now();
        until_store_is(&agent, u32::try_from(issued).ok()).await;
        slowest = slowest.max(written.elapsed());
    }
    println!("slowest of ten changes: {slowest:?}");

    // An older issue, or none at all, changes nothing.
    directory.shard((1, 0), 5, 5).await;
    directory.secrets.delete("s-directory", &DeleteParams::default()).await.unwrap();
    directory.secrets.delete("s-directory-1-0", &DeleteParams::default()).await.unwrap();
    directory.index(1, 12).await;
    let issued = async || agent.replica.issued();
    eventually(issued, |issued| issued["s-directory"] == 12).await;
    until_store_is(&agent, Some(11)).await;

    // Another number of shards serves when all of them are there.
    allow(&api, &["s-directory", "s-directory-1-0", "s-directory-2-0", "s-directory-2-1"]);
    directory.index(2, 13).await;
    directory.shard((2, shard_of("an@x.vn", 2)), 13, 13).await;
    until_store_is(&agent, Some(11)).await;
    directory.shard((2, 1 - shard_of("an@x.vn", 2)), 13, 13).await;
    until_store_is(&agent, Some(13)).await;
    assert_eq!(agent.replica.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_restarts_without_the_api_server_serves_what_it_had() {
    let api = api("directory").await;
    let directory = Directory::new(&api);
    let disk = tempfile::tempdir().unwrap();
    directory.shard((1, 0), 1, 3).await;
    directory.index(1, 1).await;
    let first = agent(&directory, disk.path(), api.client.clone());
    until_store_is(&first, Some(3)).await;
    let kept = async || disk.path().join("directory/s-directory").exists();
    eventually(kept, |kept| *kept).await;
    drop(first);

    let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let second = agent(&directory, disk.path(), Client::try_from(nobody).unwrap());
    assert_eq!(second.replica.find("an@x.vn").map(|found| found.entry.store), Some(3));
}
