//! The cluster as `kubectl mail` sees it: a system by name, its Secrets, its agents through the API server's proxy.

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Pod, Secret},
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Error, Target};
use crate::{
    agent::gateway::audit::replay,
    api::{MailBackup, MailSystem},
    names::{Component, SystemName, ports},
    operator::switchover::LeaseSeen,
};

/// The cluster of the kubeconfig, and the namespace that is meant.
///
/// # Errors
/// The kubeconfig cannot be used.
pub(super) async fn client(target: &Target) -> Result<(Client, String), Error> {
    let config = Config::infer().await?;
    let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    Ok((Client::try_from(config)?, namespace))
}

/// A mail system.
pub struct System {
    client: Client,
    /// Its name.
    pub name: SystemName,
}

impl System {
    /// The system that is meant.
    ///
    /// # Errors
    /// There is none, or it is not clear which.
    pub async fn find(target: &Target) -> Result<Self, Error> {
        let (client, namespace) = client(target).await?;
        if let Some(name) = &target.system {
            return Ok(Self { client, name: SystemName::new(namespace, name) });
        }
        let systems: Api<MailSystem> = Api::namespaced(client.clone(), &namespace);
        let systems = systems.list_metadata(&ListParams::default()).await?.items;
        match systems.as_slice() {
            [system] => Ok(Self { client, name: SystemName::new(namespace, system.name_any()) }),
            [] => Err(Error::System(format!(
                "there is no MailSystem in namespace {namespace}: name another with -n"
            ))),
            _ => {
                Err(Error::System(format!("namespace {namespace} has several MailSystems: name one with -s")))
            }
        }
    }

    /// A Secret of the system's namespace.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub async fn secret(&self, name: &str) -> Result<Secret, Error> {
        Ok(Api::namespaced(self.client.clone(), &self.name.namespace).get(name).await?)
    }

    /// The object.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub async fn object(&self) -> Result<MailSystem, Error> {
        Ok(Api::namespaced(self.client.clone(), &self.name.namespace).get(&self.name.name).await?)
    }

    /// The backups of the system.
    ///
    /// # Errors
    /// They may not be read.
    pub async fn backups(&self) -> Result<Vec<MailBackup>, Error> {
        let backups: Api<MailBackup> = Api::namespaced(self.client.clone(), &self.name.namespace);
        let backups = backups.list(&ListParams::default()).await?.items;
        Ok(backups.into_iter().filter(|it| it.spec.system.name == self.name.name).collect())
    }

    /// The Lease over which it is decided who serves a shard.
    ///
    /// # Errors
    /// It is not there, may not be read, or cannot be understood.
    pub async fn lease(&self, shard: u32) -> Result<LeaseSeen, Error> {
        let name = self.name.store(shard);
        let lease = self.leases().get(&name).await?;
        LeaseSeen::of(&lease).ok_or_else(|| Error::Agent(format!("the epoch in Lease {name} is no number")))
    }

    /// Writes an annotation of that Lease, or takes it away.
    ///
    /// # Errors
    /// It may not be changed.
    pub async fn annotate_lease(&self, shard: u32, key: &str, value: Option<&str>) -> Result<(), Error> {
        // Without a version: the holder renews it all the time, and what an order is for stands in its value.
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.leases().patch(&self.name.store(shard), &PatchParams::default(), &patch).await?;
        Ok(())
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.name.namespace)
    }

    /// What a gateway's agent answers.
    ///
    /// # Errors
    /// No gateway is ready, or it refused.
    pub async fn ask(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.ask_pod(&self.ready_gateway().await?, path).await
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// As [`Self::ask`], or the answer is another.
    pub async fn ask_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        of_json(&self.ask(path).await?)
    }

    /// What the agent of this pod answers.
    ///
    /// # Errors
    /// The pod cannot be reached, or its agent refused.
    pub async fn ask_pod(&self, pod: &str, path: &str) -> Result<Vec<u8>, Error> {
        let request = http::Request::get(self.uri(pod, path)).body(kube::client::Body::empty());
        self.send(pod, request).await
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// As [`Self::ask_pod`], or the answer is another.
    pub async fn ask_pod_json<T: DeserializeOwned>(&self, pod: &str, path: &str) -> Result<T, Error> {
        of_json(&self.ask_pod(pod, path).await?)
    }

    /// Gives `body` to the agent of this pod, which knows us by `secret`.
    ///
    /// # Errors
    /// As [`Self::ask_pod`].
    pub async fn post_pod(
        &self,
        pod: &str,
        path: &str,
        secret: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        // The API server takes the header Authorization for its own.
        let request = http::Request::post(self.uri(pod, path)).header(replay::SECRET, secret);
        let request = request.header(http::header::CONTENT_TYPE, "application/json");
        self.send(pod, request.body(body.into())).await
    }

    fn uri(&self, pod: &str, path: &str) -> String {
        let (namespace, port) = (&self.name.namespace, ports::HTTP);
        format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}")
    }

    async fn send(
        &self,
        pod: &str,
        request: http::Result<http::Request<kube::client::Body>>,
    ) -> Result<Vec<u8>, Error> {
        let request = request.map_err(|error| Error::Agent(error.to_string()))?;
        let response = self.client.send(request).await?;
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
        if status.is_success() {
            return Ok(body.into());
        }
        Err(Error::Agent(format!("{pod}: {}", String::from_utf8_lossy(&body).trim())))
    }

    /// The gateways' pods, each with whether it is ready.
    ///
    /// # Errors
    /// The API server's.
    pub async fn gateways(&self) -> Result<Vec<(String, bool)>, Error> {
        let labels = self.name.selector(Component::Gateway);
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name.namespace);
        let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?;
        Ok(pods.iter().map(|pod| (pod.name_any(), is_ready(pod))).collect())
    }

    async fn ready_gateway(&self) -> Result<String, Error> {
        let pod = self.gateways().await?.into_iter().find(|(_, ready)| *ready);
        pod.map(|(pod, _)| pod).ok_or_else(|| Error::Agent(format!("no gateway of {} is ready", self.name)))
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn of_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Agent(format!("the agent is of another release: {error}")))
}
