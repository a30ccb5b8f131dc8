//! The mail system that the tests share, made once; and how others are made. Each is in a namespace of its own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use mail_operator::{
    api::{MailDomain, MailSystem, Mailbox},
    conditions,
    names::ports,
};
use rustls::{
    ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName, pki_types::pem::PemObject,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::s3;

pub(crate) const DOMAIN: &str = "angiang.gov.vn";
pub(crate) const HOSTNAME: &str = "mail.angiang.gov.vn";
pub(crate) const EICAR: &str = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
pub(crate) const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const LABEL: &str = "mail-operator-e2e";

/// One runtime for all tests: connections of the shared client live in it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WORLD: OnceCell<World> = OnceCell::const_new();
static TURN: RwLock<()> = RwLock::const_new(());
static CLEANED: OnceCell<()> = OnceCell::const_new();

/// A mail system called `mail` in a namespace of its own.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    front: Front,
    tls: Arc<ClientConfig>,
}

/// How clients come in.
#[derive(Clone, Copy)]
enum Front {
    /// Through the Service, to any gateway.
    Service(IpAddr),
    /// To one gateway's pod.
    Pod(IpAddr),
}

/// A mailbox that a test made.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) password: String,
}

/// Runs a test beside others.
pub(crate) fn run(test: impl AsyncFnOnce(&'static World)) {
    RUNTIME.block_on(async {
        let _turn: RwLockReadGuard<()> = TURN.read().await;
        test(WORLD.get_or_init(World::make).await).await;
    });
}

/// Runs a test alone: it takes away what the others need.
pub(crate) fn run_alone(test: impl AsyncFnOnce(&'static World)) {
    alone(async { test(WORLD.get_or_init(World::make).await).await });
}

/// Runs a test while no other runs, in whatever system.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    RUNTIME.block_on(async {
        let _turn: RwLockWriteGuard<()> = TURN.write().await;
        test.await;
    });
}

/// A name nobody used before.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let since = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis());
    format!("{prefix}{since:x}{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// Tries until it succeeds; panics with the last answer when `deadline` has passed.
pub(crate) async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let end = tokio::time::Instant::now() + deadline;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(answer) if tokio::time::Instant::now() > end => panic!("{what}: {answer} after {deadline:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

impl World {
    async fn make() -> Self {
        Self::of(system).await
    }

    /// A new system of this spec, ready, in a new namespace.
    pub(crate) async fn of(spec: impl FnOnce(&str) -> serde_json::Value) -> Self {
        let client = Client::try_default().await.expect("a cluster: run cluster/install first");
        CLEANED.get_or_init(|| clean(&client)).await;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = unique("e2e-");
        let object = json!({"metadata": {"name": namespace, "labels": {LABEL: ""}}});
        namespaces.create(&PostParams::default(), &parse(object)).await.expect("a namespace");
        let front = Front::Service(IpAddr::from([0; 4]));
        let world = Self { client, namespace, front, tls: trust(&[]) };
        world.apply(parse::<Secret>(signatures())).await;
        let spec = spec(&world.namespace);
        if spec.get("journal").is_some() {
            s3::serve(&world).await;
        }
        let system = tagged::<MailSystem>(json!({"metadata": {"name": "mail"}, "spec": spec}));
        let params = PatchParams::apply("e2e").force();
        world.api::<MailSystem>().patch("mail", &params, &Patch::Apply(&system)).await.expect("a system");
        world.apply(parse::<MailDomain>(domain("angiang", DOMAIN))).await;
        world.ready::<MailSystem>("mail", Duration::from_mins(15)).await;
        world.again().await
    }

    /// The same system, reached as it is now: its Service may have another address, and its certificate be another.
    pub(crate) async fn again(mut self) -> Self {
        let service = self.api::<Service>().get("mail-gateway").await.expect("the gateway's Service");
        let address = service.spec.and_then(|spec| spec.cluster_ip).expect("its address");
        self.front = Front::Service(address.parse().expect("an address"));
        let secret = self.api::<Secret>().get("mail-tls").await.expect("the served certificate");
        self.tls = trust(&secret.data.expect("data")["tls.crt"].0);
        self
    }

    /// The same system, whose clients come to the gateway in the pod with this address and to no other.
    pub(crate) fn through(&self, pod: IpAddr) -> Self {
        Self { front: Front::Pod(pod), ..self.clone() }
    }

    /// Objects of a kind in the tests' namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Server-side apply.
    pub(crate) async fn apply<K>(&self, object: K) -> K
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + std::fmt::Debug,
    {
        let name = object.meta().name.clone().expect("a name");
        let params = PatchParams::apply("e2e").force();
        self.api::<K>().patch(&name, &params, &Patch::Apply(&object)).await.expect("applied")
    }

    /// Waits until the object's condition `Ready` is True for its generation.
    pub(crate) async fn ready<K>(&self, name: &str, deadline: Duration)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + serde::Serialize,
    {
        self.condition::<K>(name, "Ready", "True", deadline).await;
    }

    /// Waits until a condition of an object has this status for its generation; returns its reason.
    pub(crate) async fn condition<K>(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        deadline: Duration,
    ) -> String
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + serde::Serialize,
    {
        let what = format!("{} {name}: {type_}={status}", K::kind(&()));
        eventually(deadline, &what, async || {
            let object = self.api::<K>().get(name).await.map_err(|e| e.to_string())?;
            let generation = object.meta().generation;
            let value = serde_json::to_value(&object).map_err(|e| e.to_string())?;
            let found = value["status"].get("conditions").cloned().unwrap_or_default();
            let found: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> =
                serde_json::from_value(found).unwrap_or_default();
            conditions::get(&found, type_)
                .filter(|c| c.status == status && c.observed_generation == generation)
                .map(|c| c.reason.clone())
                .ok_or_else(|| format!("{found:?}"))
        })
        .await
    }

    /// Waits until the system's pods are those that its spec wants.
    pub(crate) async fn settled(&self, deadline: Duration) {
        eventually(deadline, "the system has settled", async || {
            let system = self.api::<MailSystem>().get("mail").await.map_err(|e| e.to_string())?;
            let status = system.status.unwrap_or_default();
            let changing = status.conditions.iter().any(|c| c.type_ == "Reconciling");
            let seen = status.observed_generation == system.metadata.generation;
            if seen && !changing { Ok(()) } else { Err(format!("{:?}", status.conditions)) }
        })
        .await;
    }

    /// A new mailbox, ready, with a generated password. `more` is merged into its spec.
    pub(crate) async fn mailbox(&self, more: serde_json::Value) -> Account {
        let name = unique("u");
        let address = format!("{name}@{DOMAIN}");
        let mut spec = json!({"address": address});
        spec.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
        self.ready::<Mailbox>(&name, Duration::from_mins(2)).await;
        let secret = self.api::<Secret>().get(&format!("{name}-credentials")).await;
        let data = secret.ok().and_then(|s| s.data).unwrap_or_default();
        let password =
            data.get("password").map(|p| String::from_utf8_lossy(&p.0).into_owned()).unwrap_or_default();
        Account { name, address, password }
    }

    /// Where a port of the gateways is reached.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        match (self.front, port) {
            (Front::Pod(address), ports::IMAPS) => SocketAddr::new(address, ports::PROXY_IMAPS),
            (Front::Pod(address), ports::POP3S) => SocketAddr::new(address, ports::PROXY_POP3S),
            (Front::Pod(address) | Front::Service(address), port) => SocketAddr::new(address, port),
        }
    }

    /// TLS as a client does it that trusts the served certificate alone.
    pub(crate) async fn tls(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(HOSTNAME).map_err(std::io::Error::other)?;
        TlsConnector::from(self.tls.clone()).connect(name, stream).await
    }
}

/// An object from JSON that lacks `apiVersion` and `kind`.
pub(crate) fn parse<K>(value: serde_json::Value) -> K
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    serde_json::from_value(tagged::<K>(value)).expect("an object")
}

fn tagged<K: Resource<DynamicType = ()>>(mut value: serde_json::Value) -> serde_json::Value {
    value["apiVersion"] = K::api_version(&()).into();
    value["kind"] = K::kind(&()).into();
    value
}

/// Deletes what a former run left.
async fn clean(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for old in namespaces.list(&ListParams::default().labels(LABEL)).await.expect("namespaces") {
        let _ = namespaces.delete(&old.metadata.name.unwrap_or_default(), &DeleteParams::default()).await;
    }
}

fn trust(pem: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.expect("a certificate")).expect("a trust anchor");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// A ClamAV signature file that knows the EICAR test file and nothing else.
fn signatures() -> serde_json::Value {
    let pattern: String = EICAR[24..].bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    json!({"metadata": {"name": "eicar"}, "stringData": {"local.ndb": format!("Eicar-Test-Signature:0:*:{pattern}\n")}})
}

fn system(namespace: &str) -> serde_json::Value {
    let mut spec = json!({
        "hostname": HOSTNAME,
        "gateway": {"queueStorage": {"size": "1Gi"}},
        "store": {"shards": 2, "replicas": 1, "storage": {"size": "1Gi"}},
        "antivirus": {"signatureSecret": "eicar"},
    });
    if crate::JOURNAL {
        spec["journal"] = s3::journal(namespace);
    }
    spec
}

/// A MailDomain of the shared system.
pub(crate) fn domain(name: &str, domain: &str) -> serde_json::Value {
    json!({"metadata": {"name": name}, "spec": {"system": {"name": "mail"}, "domain": domain}})
}
