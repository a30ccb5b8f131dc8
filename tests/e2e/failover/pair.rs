//! The mail system whose shard has two stores: how it is made, and what is done to its parts.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures::FutureExt;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Namespace, PersistentVolumeClaim, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::names::lease::SWITCHOVER;
use serde_json::{Value, json};

use super::{
    SETTLED,
    ask::{Place, Places},
    evidence,
    roles::{Roles, serving},
};
use crate::{
    local, s3,
    world::{self, HOSTNAME, World, eventually},
};

/// Of the shard's StatefulSet, Service and Lease.
const STORE: &str = "mail-store-0";

static PAIR: tokio::sync::Mutex<Option<Pair>> = tokio::sync::Mutex::const_new(None);

/// A system with one shard. Clones share what is known of its pods.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(super) places: Places,
}

/// Runs a test alone, with the system that these tests share, as it should be; and leaves the cluster whole.
pub(crate) fn run(test: impl AsyncFnOnce(&Pair)) {
    world::alone(async {
        let mut slot = PAIR.lock().await;
        let pair = match slot.take() {
            Some(pair) => pair,
            None => Pair::new(World::of(|namespace| spec(namespace, 2)).await),
        };
        let test = async {
            pair.settled().await;
            test(&pair).await;
        };
        pair.tried(test).await;
        *slot = Some(pair);
    });
}

/// Runs a test alone, with a system of its own that has so many stores at first.
pub(crate) fn run_with(replicas: u32, test: impl AsyncFnOnce(&Pair)) {
    world::alone(async {
        let pair = Pair::new(World::of(|namespace| spec(namespace, replicas)).await);
        pair.tried(test(&pair)).await;
        pair.forget().await;
    });
}

/// The spec of a system with so many stores for its shard.
pub(crate) fn spec(namespace: &str, replicas: u32) -> Value {
    json!({
        "hostname": HOSTNAME,
        "gateway": {"queueStorage": {"size": "1Gi"}},
        "store": {"shards": 1, "replicas": replicas, "storage": {"size": "1Gi"}},
        "antivirus": {"signatureSecret": "eicar"},
        "limits": {"messagesPerHour": 100_000},
        "journal": s3::journal(namespace),
    })
}

/// The name of a store's pod.
pub(crate) fn pod(ordinal: usize) -> String {
    format!("{STORE}-{ordinal}")
}

impl Pair {
    /// The stores of this system.
    pub(crate) fn new(world: World) -> Self {
        Self { world, places: Places::default() }
    }

    /// A test that fails leaves what is needed to find out why; nobody uses its system again.
    async fn tried(&self, test: impl Future<Output = ()>) {
        let whole = async {
            test.await;
            local::is_whole(&self.world.client, SETTLED).await;
        };
        if let Err(panic) = AssertUnwindSafe(whole).catch_unwind().await {
            evidence::keep(self).await;
            self.forget().await;
            resume_unwind(panic);
        }
    }

    /// Deletes the system, without waiting for its end.
    async fn forget(&self) {
        let namespaces: Api<Namespace> = Api::all(self.world.client.clone());
        let _ = namespaces.delete(&self.world.namespace, &DeleteParams::default()).await;
    }

    /// Waits until one store serves and the other has everything.
    pub(crate) async fn settled(&self) -> Roles {
        self.settled_above(0).await
    }

    /// The same, in an epoch later than this one.
    pub(crate) async fn settled_above(&self, epoch: u64) -> Roles {
        let what = format!("one store serves after epoch {epoch}, and the other has everything");
        eventually(SETTLED, &what, async || {
            let reports = self.reports().await;
            Roles::of(&reports).filter(|roles| roles.epoch > epoch).ok_or_else(|| format!("{reports:#?}"))
        })
        .await
    }

    /// Waits until a store serves in a later epoch: its ordinal and that epoch.
    pub(crate) async fn serves_above(&self, epoch: u64, deadline: Duration) -> (usize, u64) {
        eventually(deadline, &format!("a store serves after epoch {epoch}"), async || {
            let reports = self.reports().await;
            serving(&reports, epoch).ok_or_else(|| format!("{reports:#?}"))
        })
        .await
    }

    /// Orders a switchover, as an administrator does.
    pub(crate) async fn order_switchover(&self, of: Roles) {
        let order = json!({"metadata": {"annotations": {SWITCHOVER: of.epoch.to_string()}}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(order));
        self.world.api::<Lease>().patch(STORE, &params, &patch).await.unwrap();
    }

    /// The other store serves afterwards, and both have everything.
    pub(crate) async fn switch_over(&self, from: Roles) -> Roles {
        self.order_switchover(from).await;
        let to = self.settled_above(from.epoch).await;
        assert_eq!(to.primary, from.replica(), "{from:?} became {to:?}");
        to
    }

    /// Deletes a pod without waiting for what it has to say.
    pub(crate) async fn delete_now(&self, pod: &str) {
        self.world.api::<Pod>().delete(pod, &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    /// Waits until there is another pod of this name than the one with this UID, running.
    pub(crate) async fn replaced(&self, pod: &str, uid: &str) {
        eventually(SETTLED, &format!("{pod} is replaced"), async || {
            let place = self.look_up(pod).await?;
            if place.uid != uid && place.address.is_some() { Ok(()) } else { Err(format!("{place:?}")) }
        })
        .await;
    }

    /// Loses a store's volume, and its pod with it. Afterwards the pod has another volume.
    pub(crate) async fn lose_volume(&self, ordinal: usize) {
        let (claims, name) = (self.world.api::<PersistentVolumeClaim>(), format!("data-{}", pod(ordinal)));
        let lost = claims.get(&name).await.unwrap().uid();
        claims.delete(&name, &DeleteParams::default()).await.unwrap();
        self.delete_now(&pod(ordinal)).await;
        eventually(SETTLED, &format!("{name} is another volume's"), async || {
            match claims.get_opt(&name).await.map_err(|e| e.to_string())? {
                Some(claim) if claim.uid() != lost => Ok(()),
                Some(_) => Err("it is the lost one's".to_owned()),
                None => {
                    // A pod that was made before its claim was gone waits for it for ever.
                    let now = DeleteParams::default().grace_period(0);
                    let _ = self.world.api::<Pod>().delete(&pod(ordinal), &now).await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    Err("there is none".to_owned())
                }
            }
        })
        .await;
    }

    /// The pods of a component, by a label selector.
    pub(crate) async fn pods(&self, labels: &str) -> Vec<(String, Place)> {
        let pods = self.world.api::<Pod>().list(&ListParams::default().labels(labels)).await.unwrap();
        pods.iter().map(|pod| (pod.name_any(), Place::of(pod))).collect()
    }
}
