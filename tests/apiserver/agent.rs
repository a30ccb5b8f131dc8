//! Agents without their daemons: the real replica of the directory, fed with the rights of the gateway's service account,
//! answering `/status` at an address of the loopback that a pod object names; and the whole agent of an anti-spam pod.

use std::{collections::BTreeMap, net::IpAddr, path::Path, time::Duration};

use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
use axum::{Json, Router, routing::get};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use mail_operator::{
    agent::{
        antispam,
        directory::Replica,
        settings::{AntispamSettings, Common},
        sockets::passwords::ldap::{Report, ServerReport},
    },
    directory::{CONTENT, ISSUED, Keeping, Ldap, decode_index, decode_shard},
    names::SystemName,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::TestApi;

/// Starts a gateway and a store of shard 0 of the system `demo`, both at `ip`, and an anti-spam pod, and gives what the
/// first two hold.
pub async fn start(api: &TestApi, ip: &str) -> Replica {
    start_telling(api, ip, Router::new()).await
}

/// [`start`] with an agent that answers these routes, too.
pub async fn start_telling(api: &TestApi, ip: &str, routes: Router) -> Replica {
    let replica = start_daemons(api, ip, routes).await;
    let (folder, beside) = (
        tempfile::tempdir().unwrap(),
        format!("{}.2", ip.strip_suffix(".1").expect("an address that ends in 1")),
    );
    antispam(api, &beside, folder.path()).await;
    std::mem::forget(folder);
    replica
}

/// Starts the agent of an anti-spam pod at `ip`, which writes its files into `folder`.
pub async fn antispam(api: &TestApi, ip: &str, folder: &Path) {
    let address = (ip.parse::<IpAddr>().unwrap(), mail_operator::names::ports::HTTP).into();
    let common = Common {
        pod_name: "demo-antispam".to_owned(),
        pod_namespace: api.namespace.clone(),
        mail_system: "demo".to_owned(),
        mail_hostname: "mail.x.vn".to_owned(),
        http_address: address,
    };
    let settings = AntispamSettings { common, keys_dir: folder.to_owned() };
    let client = api.as_service_account(&api.namespace, "demo-antispam");
    tokio::spawn(antispam::run(settings, async { client }, CancellationToken::new()));
    pod(api, &format!("demo-antispam-{ip}"), &json!({"app.kubernetes.io/component": "antispam"}), ip).await;
}

/// [`start`] but for the anti-spam pod.
pub async fn start_without_antispam(api: &TestApi, ip: &str) -> Replica {
    start_daemons(api, ip, Router::new()).await
}

async fn start_daemons(api: &TestApi, ip: &str, routes: Router) -> Replica {
    let replica = Replica::new(SystemName::new(&api.namespace, "demo"));
    let said = replica.clone();
    let status = get(async move || {
        Json(
            json!({"directory": said.issued(), "store": {"retired": retired(&said)}, "ldap": services(&said)}),
        )
    });
    let address = (ip.parse::<IpAddr>().unwrap(), mail_operator::names::ports::HTTP);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async { axum::serve(listener, routes.route("/status", status)).await });
    let secrets = Api::namespaced(api.as_service_account(&api.namespace, "demo-gateway"), &api.namespace);
    tokio::spawn(follow(secrets, replica.clone()));
    pod(api, "demo-gateway-0", &json!({"app.kubernetes.io/component": "gateway"}), ip).await;
    let store = json!({"app.kubernetes.io/component": "store", "mail.angiang.gov.vn/shard": "0"});
    pod(api, "demo-store-0-0", &store, ip).await;
    replica
}

/// What a gateway would say that reaches every server of its directory services.
fn services(replica: &Replica) -> BTreeMap<String, Report> {
    let report = |ldap: &Ldap| Report {
        servers: ldap.urls.iter().map(|url| ServerReport { url: url.clone(), trouble: None }).collect(),
        ..Report::default()
    };
    replica.ldap().iter().map(|ldap| (ldap.name.clone(), report(ldap))).collect()
}

/// What a store would say that does at once what the directory says: retired mail is 5 KiB each, but for what is purged
/// or has an heir.
fn retired(replica: &Replica) -> BTreeMap<String, Keeping> {
    let mailboxes = replica.mailboxes_of_store(0);
    let heirs = mailboxes.values().filter_map(|entry| entry.heir_of.clone());
    let records = replica.retired_of_store(0).into_iter();
    let kept = records.map(|(uid, record)| match (record.purge, record.in_place) {
        (true, _) => (uid, Keeping::Absent),
        (_, true) => (uid, Keeping::Moving),
        _ => (uid, Keeping::Kib(5)),
    });
    kept.chain(heirs.map(|uid| (uid, Keeping::Absent))).collect()
}

async fn follow(secrets: Api<Secret>, replica: Replica) {
    let system = SystemName::new("", "demo");
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Some((issued, content)) = read(&secrets, &system.directory()).await else { continue };
        let index = decode_index(&content).unwrap();
        let count = index.shards;
        let _ = replica.offer_index(issued, index);
        for shard in 0..count {
            if let Some((issued, content)) = read(&secrets, &system.directory_shard(count, shard)).await {
                let _ = replica.offer_shard(count, shard, issued, decode_shard(&content).unwrap());
            }
        }
    }
}

async fn read(secrets: &Api<Secret>, name: &str) -> Option<(u64, Vec<u8>)> {
    let data = secrets.get(name).await.ok()?.data?;
    let issued = String::from_utf8(data[ISSUED].0.clone()).unwrap();
    Some((issued.parse().unwrap(), data[CONTENT].0.clone()))
}

/// A pod that is ready, with an agent that answers at `ip`.
pub async fn pod(api: &TestApi, name: &str, labels: &serde_json::Value, ip: &str) {
    let pods: Api<Pod> = Api::namespaced(api.client.clone(), &api.namespace);
    let mut labels = labels.clone();
    labels["app.kubernetes.io/name"] = json!("mail-operator");
    labels["app.kubernetes.io/instance"] = json!("demo");
    let pod = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "agent", "image": "example/agent:1"}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let status = json!({"status": {
        "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// Whether a client with this password is let in.
pub fn lets_in(replica: &Replica, address: &str, password: &str) -> bool {
    let Some(credential) = replica.find(address).and_then(|found| found.entry.credential.clone()) else {
        return false;
    };
    let hash = PasswordHash::new(&credential.hash).unwrap();
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}
