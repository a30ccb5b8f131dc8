//! An agent's copy of the directory follows the Secrets of a real API server, with no more rights than an agent has.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::{
    ByteString,
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use mail_operator::{
    agent::directory::{Disk, Replica, follow},
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
        let index =
            Index { shards, domains: vec!["x.vn".into()], token_key: "a".repeat(64), ..Index::default() };
        self.write(&self.system.directory(), issued, encode_index(&index).unwrap()).await;
    }

    /// Writes shard `position` of `count` with `an@x.vn` in `store`, if it belongs there.
    async fn shard(&self, (count, position): (u32, u32), issued: u64, store: u32) {
        let entry = MailboxEntry { store, quota: 1, ..MailboxEntry::default() };
        let entries = [("an@x.vn".to_owned(), Entry::Mailbox(entry))];
        let entries = entries.into_iter().filter(|(at, _)| shard_of(at, count) == position).collect();
        let content = encode_shard(&Shard { entries, ..Shard::default() }).unwrap();
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

/// Gives service account `agent` the rights to these Secrets and no others, as the operator does.
async fn allow(api: &TestApi, names: &[&str]) {
    let (group, apply) = ("rbac.authorization.k8s.io", PatchParams::apply("test").force());
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "agent"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": names,
            "verbs": ["get", "list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "agent"},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": api.namespace}],
    });
    let (client, namespace) = (api.client.clone(), &api.namespace);
    let roles = Api::<Role>::namespaced(client.clone(), namespace);
    roles.patch("agent", &apply, &Patch::Apply(role)).await.unwrap();
    let bindings = Api::<RoleBinding>::namespaced(client, namespace);
    bindings.patch("agent", &apply, &Patch::Apply(binding)).await.unwrap();
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
    allow(&api, &["s-directory", "s-directory-1-0"]).await;
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
    allow(&api, &["s-directory", "s-directory-1-0", "s-directory-2-0", "s-directory-2-1"]).await;
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
