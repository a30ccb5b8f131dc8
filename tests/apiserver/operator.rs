//! The operator in this process, on the private API server, limited to one test's namespace.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use k8s_openapi::{api::storage::v1::StorageClass, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use mail_operator::{
    api::MailSystem,
    conditions,
    images::Images,
    operator::{self, Options},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::harness::TestApi;

/// An operator that runs.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), operator::Error>>,
    address: SocketAddr,
}

impl Running {
    /// Starts the operator `pod`.
    pub async fn start(api: &TestApi, pod: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let image = |name: &str| format!("example/{name}:1");
        let images = Images {
            operator: image("mail-operator"),
            postfix: image("postfix"),
            nginx: image("nginx"),
            cyrus: image("cyrus"),
            rspamd: image("rspamd"),
            clamav: image("clamav"),
            valkey: image("valkey"),
        };
        let options = Options {
            images,
            pod_name: pod.to_owned(),
            pod_namespace: api.namespace.clone(),
            watch_namespace: Some(api.namespace.clone()),
            http_address: address,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(operator::serve(api.client.clone(), options, stop.clone()));
        Self { stop, task, address }
    }

    /// Sends what SIGTERM sends, and waits for the end.
    pub async fn stop(self) {
        self.stop.cancel();
        self.end().await.unwrap();
    }

    /// Waits for the end.
    pub async fn end(self) -> Result<(), operator::Error> {
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap()
    }

    /// How many reconciliations went well so far.
    pub async fn reconciled(&self) -> u64 {
        let name = "mail_reconcile_runs_total{controller=\"system\",result=\"ok\"} ";
        let text = http_get(self.address, "/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
    }

    /// The answer to `/metrics`.
    pub async fn metrics(&self) -> String {
        http_get(self.address, "/metrics").await
    }

    /// The answer to `/readyz`.
    pub async fn readiness(&self) -> String {
        http_get(self.address, "/readyz").await
    }
}

async fn http_get(address: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Makes the storage class `name`, which may be there, as the default one or not.
pub async fn storage_class(client: &Client, name: &str, default: bool) {
    let class = json!({
        "metadata": {
            "name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()},
        },
        "provisioner": "example.vn/none",
    });
    let class: StorageClass = serde_json::from_value(class).unwrap();
    match Api::all(client.clone()).create(&PostParams::default(), &class).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => panic!("{error}"),
    }
}

/// Applies the MailSystem `demo` with this spec, as a user would.
pub async fn apply(api: &TestApi, spec: Value) -> MailSystem {
    let body = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailSystem", "metadata": {"name": "demo"}, "spec": spec});
    let params = PatchParams::apply("user").force();
    systems(api).patch("demo", &params, &Patch::Apply(body)).await.unwrap()
}

/// The MailSystems of the test.
pub fn systems(api: &TestApi) -> Api<MailSystem> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

/// Waits until the condition `type_` of `demo` has this reason; returns it and how long it took.
pub async fn condition(api: &TestApi, type_: &str, reason: &str) -> (Condition, Duration) {
    let started = Instant::now();
    let mut last = None;
    while started.elapsed() < Duration::from_mins(3) {
        let status = systems(api).get("demo").await.unwrap().status.unwrap_or_default();
        last = conditions::get(&status.conditions, type_).cloned();
        match last {
            Some(found) if found.reason == reason => return (found, started.elapsed()),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("{type_} never said {reason}, last: {last:?}");
}

/// Waits until `check` holds of what `get` gives.
pub async fn eventually<T: std::fmt::Debug>(
    mut get: impl AsyncFnMut() -> T,
    mut check: impl FnMut(&T) -> bool,
) -> T {
    let started = Instant::now();
    loop {
        let value = get().await;
        if check(&value) {
            return value;
        }
        assert!(started.elapsed() < Duration::from_mins(3), "it never came to that, last: {value:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Name and resource version of everything in the test's namespace that the operator made, and of the system.
pub async fn versions(api: &TestApi) -> Vec<String> {
    let kinds = "statefulsets,deployments,services,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets";
    let listed = api.run(
        "kubectl",
        &[
            "-n",
            &api.namespace,
            "get",
            &format!("{kinds},mailsystems,roles,rolebindings"),
            "-o",
            "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}",
        ],
    );
    listed.lines().map(str::to_owned).collect()
}

/// Any object of the test by kind and name.
pub fn any(api: &TestApi, kind: &str, name: &str) -> Value {
    let text = api.run("kubectl", &["-n", &api.namespace, "get", kind, name, "-o", "json"]);
    serde_json::to_value(serde_json::from_str::<DynamicObject>(&text).unwrap()).unwrap()
}
