//! What only the local cluster offers: nodes and an API server that can be taken away, and pods whose processes run on this
//! host. Nothing here touches a process that does not belong to the pod it is asked about.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, ObjectList},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::eventually;

/// Runs a verb of `cluster/cluster`.
fn cluster(arguments: &[&str]) -> bool {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
    Command::new(script).args(arguments).status().is_ok_and(|status| status.success())
}

/// A part of the cluster that is away. Dropping it brings the part back, also when a test fails.
pub(crate) struct Away {
    back: Vec<String>,
}

impl Away {
    fn begin(verb: &[&str], back: &[&str]) -> Self {
        // Made first: what was done by half has to be undone as well.
        let away = Self { back: back.iter().map(ToString::to_string).collect() };
        assert!(cluster(verb), "cluster {verb:?}");
        away
    }

    /// The API server has ended.
    pub(crate) fn api() -> Self {
        Self::begin(&["api-kill"], &["api-start"])
    }

    /// The node's network is unplugged; its processes go on.
    pub(crate) fn network_of(node: &str) -> Self {
        Self::begin(&["cut", node], &["heal", node])
    }

    /// The node has lost its power.
    pub(crate) fn power_of(node: &str) -> Self {
        Self::begin(&["kill", node], &["start", node])
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let back: Vec<_> = self.back.iter().map(String::as_str).collect();
        let done = cluster(&back);
        // A second panic would end all tests.
        assert!(done || std::thread::panicking(), "cluster {back:?}");
    }
}

/// A process of a pod.
pub(crate) struct Process {
    pid: u32,
    /// Its arguments, the program first.
    arguments: Vec<String>,
}

impl Process {
    fn runs(&self, program: &str) -> bool {
        self.arguments.first().is_some_and(|first| first.ends_with(program))
    }

    /// It is the agent, and not the watchdog that the agent starts.
    fn is_agent(&self) -> bool {
        self.runs("mail-agent") && self.arguments.get(1).is_none_or(|argument| argument != "watchdog")
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("a process"), signal)
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.arguments));
    }
}

/// A process that is stopped. Dropping it lets the process go on, also when a test fails.
pub(crate) struct Stopped(Process);

impl Stopped {
    /// Stops it.
    pub(crate) fn new(process: Process) -> Self {
        process.signal(Signal::STOP);
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been killed meanwhile, by whoever missed it.
        if let Some(pid) = self.0.pid() {
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// The living processes of the pod with this UID, found by its control group: the nodes share this host's kernel.
fn processes(uid: &str) -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        if uid.is_empty() || !read("cgroup")?.contains(uid) {
            return None;
        }
        // One that is dead and was not waited for has none.
        let arguments: Vec<_> =
            read("cmdline")?.split('\0').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        (!arguments.is_empty()).then_some(Process { pid, arguments })
    })
    .collect()
}

/// The agent of the pod with this UID.
pub(crate) fn agent(uid: &str) -> Option<Process> {
    processes(uid).into_iter().find(Process::is_agent)
}

/// A process of the pod with this UID that runs this program.
pub(crate) fn process(uid: &str, program: &str) -> Option<Process> {
    processes(uid).into_iter().find(|process| process.runs(program))
}

/// Everything in the store pod with this UID that is Cyrus'.
pub(crate) fn cyrus(uid: &str) -> Vec<Process> {
    processes(uid).into_iter().filter(|it| !it.runs("mail-agent") && !it.runs("pause")).collect()
}

/// Kills the agent of a pod, and waits until its container has a new one.
pub(crate) async fn kill_agent(uid: &str, deadline: Duration) {
    let killed = agent(uid).unwrap_or_else(|| panic!("no agent in the pod {uid}"));
    killed.signal(Signal::KILL);
    eventually(deadline, "the pod has a new agent", async || match agent(uid) {
        Some(new) if new.pid != killed.pid => Ok(()),
        other => Err(format!("{:?}", other.map(|it| it.pid))),
    })
    .await;
}

/// Asks for a page of the agent of the pod with this UID from within the pod's network, which a cut node leaves to it.
pub(crate) async fn page_from_within(uid: &str, port: u16, path: &str) -> Result<Vec<u8>, String> {
    let agent = agent(uid).ok_or("the pod has no agent on this host")?;
    let output = tokio::process::Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", agent.pid))
        .args(["curl", "--silent", "--fail", "--noproxy", "*", "--max-time", "1"])
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("nsenter: {error}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("curl ended with {}", output.status))
    }
}

/// Waits until every node, and every pod that should be ready, is: the next test begins with a whole cluster.
pub(crate) async fn is_whole(client: &Client, deadline: Duration) {
    eventually(deadline, "all nodes and pods are ready", async || {
        let list = ListParams::default();
        let nodes: ObjectList<Node> =
            Api::all(client.clone()).list(&list).await.map_err(|e| e.to_string())?;
        let pods: ObjectList<Pod> = Api::all(client.clone()).list(&list).await.map_err(|e| e.to_string())?;
        let nodes = nodes.iter().filter(|node| !node_is_ready(node)).map(ResourceExt::name_any);
        let pods = pods.iter().filter(|pod| is_missing(pod)).map(ResourceExt::name_any);
        let missing: Vec<_> = nodes.chain(pods).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} are not ready")) }
    })
    .await;
}

/// Has the name servers on more than one node: otherwise they would all be lost with it, which is another fault.
pub(crate) async fn spread_name_servers(client: &Client, deadline: Duration) {
    let servers: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    let labels = ListParams::default().labels("k8s-app=kube-dns");
    eventually(deadline, "name servers run on more than one node", async || {
        let found = servers.list(&labels).await.map_err(|error| error.to_string())?.items;
        let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        if found.iter().any(|pod| is_missing(pod) || pod.metadata.deletion_timestamp.is_some()) {
            return Err("they are starting".to_owned());
        }
        let (first, rest) = found.split_first().ok_or("there are none")?;
        if rest.iter().any(|pod| node(pod) != node(first)) {
            return Ok(());
        }
        // The scheduler spreads them, if there are nodes when it chooses.
        let _ = servers.delete(&first.name_any(), &DeleteParams::default()).await;
        Err(format!("all are on {:?}", node(first)))
    })
    .await;
}

fn node_is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

/// Neither ready nor at its end, and not about to go.
fn is_missing(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"));
    !ready && pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}
