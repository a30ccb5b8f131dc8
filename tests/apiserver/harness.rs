//! A private Kubernetes API for one test binary: etcd and kube-apiserver, no nodes and no controllers (nothing is
//! garbage collected, namespaces stay). [`api`] starts it at its first call, installs the CRDs of `crds/`, and gives
//! each caller a client and a namespace of its own. It must not leave anything behind: a shell that holds both
//! processes kills them and removes their folder as soon as this process is gone, however it ended.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions, wait::await_condition},
};
use tokio::sync::OnceCell;

/// The API server of this process, and its kubeconfig.
struct Server {
    kubeconfig: PathBuf,
    etcd: u16,
    bin: PathBuf,
    _supervisor: Child,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// What a test works with.
pub struct TestApi {
    /// A client with all rights.
    pub client: Client,
    /// A namespace that nobody else uses.
    pub namespace: String,
    config: Config,
    server: &'static Server,
}

/// A client and a fresh namespace whose name begins with `prefix`.
pub async fn api(prefix: &str) -> TestApi {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let server = SERVER.get_or_init(start).await;
    let config = config(&server.kubeconfig).await;
    let client = Client::try_from(config.clone()).unwrap();
    let namespace = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create_namespace(&client, &namespace).await;
    TestApi { client, namespace, config, server }
}

#[allow(dead_code, reason = "not every test binary that includes the harness uses all of it")]
impl TestApi {
    /// A namespace besides the test's own: `<namespace>-<suffix>`.
    pub async fn another_namespace(&self, suffix: &str) -> String {
        let name = format!("{}-{suffix}", self.namespace);
        create_namespace(&self.client, &name).await;
        name
    }

    /// A client that acts as a service account, with that account's rights only.
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Client {
        let mut config = self.config.clone();
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{name}"));
        Client::try_from(config).unwrap()
    }

    /// Where the data of this API server is: etcd's port on the loopback.
    pub fn etcd(&self) -> u16 {
        self.server.etcd
    }

    /// Where programs started by a test find this API.
    pub fn kubeconfig(&self) -> &Path {
        &self.server.kubeconfig
    }

    /// Runs kubectl or helm on this API and returns what it printed; a failure is a panic with its words.
    pub fn run(&self, tool: &str, arguments: &[&str]) -> String {
        let output = self.try_run(tool, arguments);
        assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl or helm on this API, whatever comes of it.
    pub fn try_run(&self, tool: &str, arguments: &[&str]) -> Output {
        Command::new(self.server.bin.join(tool))
            .args(arguments)
            .env("KUBECONFIG", &self.server.kubeconfig)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    }
}

/// The folder of kube-apiserver, kubectl and helm, which `cluster/cluster build` compiles.
pub fn bin() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
    let output = Command::new(script).arg("bin").output().unwrap();
    let bin = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    assert!(
        bin.join("complete").is_file(),
        "kube-apiserver is not compiled yet: run `cluster/cluster build`"
    );
    bin
}

async fn start() -> Server {
    let bin = bin();
    let mut said = String::new();
    // A port that was free a moment ago may be taken by now: start again with others.
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap().keep();
        let (port, kubeconfig) = write_files(&dir);
        let etcd = free_port();
        let mut supervisor = supervise(&bin, &dir, (port, etcd));
        match ready(&mut supervisor, &kubeconfig).await {
            Ok(client) => {
                install_crds(client).await;
                return Server { kubeconfig, etcd, bin, _supervisor: supervisor };
            }
            Err(error) => said = format!("{error}\n{}", log_tail(&dir)),
        }
        drop(supervisor.stdin.take());
        supervisor.wait().unwrap();
    }
    panic!("no API server: {said}");
}

/// Keys, certificates, the administrator's token and kubeconfig; what the processes are started with.
fn write_files(dir: &Path) -> (u16, PathBuf) {
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let port = free_port();
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    write("ca.crt", &ca.pem());
    write("tls.crt", &leaf.pem());
    write("tls.key", &key.serialize_pem());
    write("sa.pub", &key.public_key_pem());
    write("tokens", "only-in-this-test,admin,1,system:masters\n");
    write(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: test, user: {{token: only-in-this-test}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
            dir.join("ca.crt").display()
        ),
    );
    (port, dir.join("kubeconfig"))
}

/// Ends both processes and removes their folder when its standard input ends, which this process holds open.
const SUPERVISOR: &str = r#"
cd "$DIR" || exit
etcd --data-dir data --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" --listen-peer-urls "$PEER" \
  --initial-advertise-peer-urls "$PEER" --initial-cluster "default=$PEER" >etcd.log 2>&1 </dev/null & etcd=$!
"$BIN/kube-apiserver" --etcd-servers="$ETCD" --bind-address=127.0.0.1 --secure-port="$PORT" \
  --tls-cert-file=tls.crt --tls-private-key-file=tls.key --token-auth-file=tokens --authorization-mode=RBAC \
  --service-account-key-file=sa.pub --service-account-signing-key-file=tls.key \
  --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.0.0.0/24 \
  --disable-admission-plugins=ServiceAccount --endpoint-reconciler-type=none --allow-privileged=true \
  >apiserver.log 2>&1 </dev/null & apiserver=$!
cat >/dev/null
kill -9 $apiserver $etcd
wait
rm -rf "$DIR"
"#;

fn supervise(bin: &Path, dir: &Path, (port, etcd): (u16, u16)) -> Child {
    Command::new("sh")
        .args(["-c", SUPERVISOR])
        .env("DIR", dir)
        .env("BIN", bin)
        .env("PORT", port.to_string())
        .env("ETCD", format!("http://127.0.0.1:{etcd}"))
        .env("PEER", format!("http://127.0.0.1:{}", free_port()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // An interrupt at the terminal is for the test alone; the supervisor learns of its end by the pipe.
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A client, once the API answers that it is ready.
async fn ready(supervisor: &mut Child, kubeconfig: &Path) -> Result<Client, String> {
    let client = Client::try_from(config(kubeconfig).await).unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let request = axum::http::Request::get("/readyz").body(Vec::new()).unwrap();
        let Err(error) = client.request_text(request).await else { return Ok(client) };
        if Instant::now() > deadline || supervisor.try_wait().unwrap().is_some() {
            return Err(error.to_string());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn install_crds(client: Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    for crd in mail_operator::api::crds() {
        api.create(&PostParams::default(), &crd).await.unwrap();
    }
    for crd in mail_operator::api::crds() {
        let name = crd.name_any();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_mins(1), established).await.unwrap().unwrap();
    }
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    config
}

async fn create_namespace(client: &Client, name: &str) {
    let namespace =
        serde_json::from_value::<Namespace>(serde_json::json!({"metadata": {"name": name}})).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn log_tail(dir: &Path) -> String {
    let tail = |name: &str| {
        let text = fs::read_to_string(dir.join(name)).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    format!("{}\n{}", tail("etcd.log"), tail("apiserver.log"))
}
