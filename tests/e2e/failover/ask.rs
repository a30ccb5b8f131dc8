//! Asking the stores who they are, also while the API server is away or the store's node is cut off.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::select_ok};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mail_operator::{names::ports, role::Report};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    pair::{Pair, pod},
    roles::Reports,
};
use crate::local;

/// Longest wait for a store's or the API server's answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// A store that has not answered over the network within this time is asked from its own host as well.
const HASTE: Duration = Duration::from_millis(200);
/// The page that says what an agent is: `/role` would count as a gateway that reaches the store.
const STATUS: &str = "/status";

/// Where a pod was last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) address: Option<IpAddr>,
}

impl Place {
    /// Where this pod is.
    pub(crate) fn of(pod: &Pod) -> Self {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        Self { uid: pod.uid().unwrap_or_default(), node, address }
    }
}

/// Where pods were last, by name. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeMap<String, Place>>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, pod: &str) -> Option<Place> {
        self.lock().get(pod).cloned()
    }
}

impl Pair {
    /// Where a pod is, as the API server says.
    pub(crate) async fn look_up(&self, pod: &str) -> Result<Place, String> {
        let pods = self.world.api::<Pod>();
        let answer = timeout(PATIENCE, pods.get(pod)).await;
        let found = answer.map_err(|_| "the API server is silent".to_owned())?.map_err(|e| e.to_string())?;
        let place = Place::of(&found);
        self.places.lock().insert(pod.to_owned(), place.clone());
        Ok(place)
    }

    /// Where a pod is; if the API server does not say, where it was last.
    pub(crate) async fn place(&self, pod: &str) -> Result<Place, String> {
        let found = self.look_up(pod).await;
        found.or_else(|error| self.places.get(pod).ok_or(error))
    }

    /// What a store says of its role.
    pub(crate) async fn report(&self, ordinal: usize) -> Result<Report, String> {
        let name = pod(ordinal);
        // A pod that was deleted is asked as long as it answers: it must not serve beside its successor.
        if let Some(known) = self.places.get(&name)
            && let Ok(report) = from(&known, &name).await
        {
            return Ok(report);
        }
        from(&self.place(&name).await?, &name).await
    }

    /// What both stores say.
    pub(crate) async fn reports(&self) -> Reports {
        tokio::join!(self.report(0), self.report(1)).into()
    }
}

/// Its node may be cut off from this host, and is then asked from within: whichever answers first.
async fn from(place: &Place, name: &str) -> Result<Report, String> {
    let outside = async {
        let address = place.address.ok_or("it has no address")?;
        let page = timeout(PATIENCE, page(address)).await.map_err(|_| "no answer in time".to_owned())?;
        understood(&page.map_err(|error| error.to_string())?, name)
    };
    let within = async {
        sleep(HASTE).await;
        understood(&local::page_from_within(&place.uid, ports::HTTP, STATUS).await?, name)
    };
    select_ok([outside.boxed(), within.boxed()]).await.map(|(report, _)| report)
}

async fn page(address: IpAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((address, ports::HTTP)).await?;
    let request = format!("GET {STATUS} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(answer.split_off(end + 4))
}

fn understood(page: &[u8], name: &str) -> Result<Report, String> {
    let mut status: Value = serde_json::from_slice(page).map_err(|error| error.to_string())?;
    let role = status["role"].take();
    let report: Report = serde_json::from_value(role).map_err(|error| format!("no role: {error}"))?;
    // Addresses of pods are used again.
    if report.pod == name { Ok(report) } else { Err(format!("this is {}", report.pod)) }
}
