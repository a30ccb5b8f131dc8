//! A real S3 server in a pod of the tests' namespace, with its bucket on a volume; and the journal that is in it, read with
//! the key that the operator made.

use std::{collections::BTreeMap, time::Duration};

use age::x25519::Identity;
use futures::TryStreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use mail_operator::journal::{Name, Segment};
use object_store::{
    ObjectStore, ObjectStoreExt,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use serde_json::{Value, json};

use crate::world::{World, eventually, parse};

/// The image that `cluster/cluster s3` gives to the nodes.
const IMAGE: &str = "localhost/s3:local";
pub(crate) const ID: &str = "journal";
pub(crate) const SECRET: &str = "a secret of the tests";
const LONG: Duration = Duration::from_mins(3);

/// `spec.journal` of the shared system.
pub(crate) fn journal(namespace: &str) -> Value {
    json!({"objectStorage": bucket(namespace, "journal", &format!("{namespace}/mail"))})
}

/// A place in a bucket of the server.
pub(crate) fn bucket(namespace: &str, bucket: &str, prefix: &str) -> Value {
    json!({
        "endpoint": format!("http://s3.{namespace}.svc:9000"),
        "bucket": bucket,
        "prefix": prefix,
        "credentialsSecret": "s3",
    })
}

/// A message as the journal has it.
pub(crate) struct Journalled {
    pub(crate) id: String,
    pub(crate) login: Option<String>,
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) message: String,
}

/// Makes the server; the system can start before it.
pub(crate) async fn serve(world: &World) {
    let operator: Api<Deployment> = Api::namespaced(world.client.clone(), "mail-system");
    let operator = operator.get("mail-operator").await.expect("the operator's Deployment");
    let image = operator.spec.unwrap().template.spec.unwrap().containers[0].image.clone();
    let claim = json!({"metadata": {"name": "s3"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    world.apply(parse::<PersistentVolumeClaim>(claim)).await;
    credentials(world, SECRET).await;
    let labels = json!({"app": "s3"});
    let root = json!({"runAsUser": 0});
    let mounts = json!([{"name": "data", "mountPath": "/data"}]);
    let pod = json!({
        "terminationGracePeriodSeconds": 1,
        "initContainers": [{"name": "bucket", "image": image, "command": ["mkdir", "-p", "/data/journal", "/data/backup"],
            "securityContext": root, "volumeMounts": mounts}],
        "containers": [{"name": "s3", "image": IMAGE, "imagePullPolicy": "Never",
            "args": ["--port", ":9000", "--quiet", "posix", "/data"],
            "env": [{"name": "ROOT_ACCESS_KEY", "value": ID}, {"name": "ROOT_SECRET_KEY", "value": SECRET}],
            "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
            "securityContext": root, "volumeMounts": mounts}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "s3"}}],
    });
    let deployment = json!({"metadata": {"name": "s3"}, "spec": {
        "replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod}}});
    world.apply(parse::<Deployment>(deployment)).await;
    let service =
        json!({"metadata": {"name": "s3"}, "spec": {"selector": labels, "ports": [{"port": 9000}]}});
    world.apply(parse::<Service>(service)).await;
}

/// Starts or stops the server.
pub(crate) async fn scale(world: &World, replicas: u32) {
    let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    world.api::<Deployment>().patch("s3", &PatchParams::default(), &scale).await.unwrap();
    let labels = ListParams::default().labels("app=s3");
    eventually(LONG, "the S3 server starts or stops", async || {
        let pods = world.api::<Pod>().list_metadata(&labels).await.map_err(|e| e.to_string())?.items.len();
        let deployment = world.api::<Deployment>().get("s3").await.map_err(|e| e.to_string())?;
        let ready = deployment.status.and_then(|status| status.ready_replicas).unwrap_or_default();
        let done = pods == replicas as usize && ready == i32::try_from(replicas).unwrap();
        if done { Ok(()) } else { Err(format!("{pods} pods, {ready} ready")) }
    })
    .await;
}

/// Gives the gateways this secret key, or the right one.
pub(crate) async fn credentials(world: &World, secret: &str) {
    let secret =
        json!({"metadata": {"name": "s3"}, "stringData": {"accessKeyId": ID, "secretAccessKey": secret}});
    world.apply(parse::<Secret>(secret)).await;
}

pub(crate) async fn right_credentials(world: &World) {
    credentials(world, SECRET).await;
}

/// A client for one of the server's buckets.
pub(crate) async fn client_of(world: &World, bucket: &str) -> AmazonS3 {
    let service = world.api::<Service>().get("s3").await.unwrap().spec.unwrap().cluster_ip.unwrap();
    let builder = AmazonS3Builder::new().with_access_key_id(ID).with_secret_access_key(SECRET);
    let builder = builder.with_bucket_name(bucket).with_region("us-east-1").with_allow_http(true);
    builder.with_endpoint(format!("http://{service}:9000")).build().unwrap()
}

/// Everything in the journal whose message has this text, by segment.
pub(crate) async fn find(world: &World, text: &str) -> Vec<Journalled> {
    let secret = world.api::<Secret>().get("mail-journal-key").await.unwrap().data.unwrap();
    let key: Identity = std::str::from_utf8(&secret["identity"].0).unwrap().parse().unwrap();
    let (s3, prefix) = (client_of(world, "journal").await, format!("{}/mail", world.namespace));
    let mut objects: BTreeMap<String, Path> = BTreeMap::new();
    let mut listing = s3.list(Some(&Path::from(prefix.as_str())));
    while let Some(object) = listing.try_next().await.unwrap() {
        let name = object.location.as_ref().strip_prefix(&format!("{prefix}/")).unwrap().to_owned();
        objects.insert(name, object.location);
    }
    let mut found = Vec::new();
    for (name, path) in objects {
        let Some(name) = Name::parse(&name) else { continue };
        let content = s3.get(&path).await.unwrap().bytes().await.unwrap();
        let mut segment = Segment::open(&name, content.as_ref(), std::slice::from_ref(&key)).unwrap();
        while let Some(head) = segment.head().unwrap() {
            let mut message = Vec::new();
            segment.message(&mut message).unwrap();
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let message = lossy(&message);
            if message.contains(text) {
                found.push(Journalled {
                    id: head.id.to_string(),
                    login: head.login.as_deref().map(lossy),
                    sender: lossy(&head.sender),
                    recipients: head.recipients.iter().map(|it| lossy(it)).collect(),
                    message,
                });
            }
        }
    }
    found
}
