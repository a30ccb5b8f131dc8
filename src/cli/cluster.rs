//! The cluster as `kubectl mail` sees it: a system by name, its Secrets, its agents through the API server's proxy.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client, Config, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{Error, Target};
use crate::{
    api::MailSystem,
    names::{Component, SystemName, ports},
};

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
        let config = Config::infer().await?;
        let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)?;
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

    /// What a gateway's agent answers.
    ///
    /// # Errors
    /// No gateway is ready, or it refused.
    pub async fn ask(&self, path: &str) -> Result<Vec<u8>, Error> {
        let pod = self.ready_gateway().await?;
        let (namespace, port) = (&self.name.namespace, ports::HTTP);
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
        let request = http::Request::get(uri).body(kube::client::Body::empty());
        let request = request.map_err(|error| Error::Agent(error.to_string()))?;
        let response = self.client.send(request).await?;
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
        if status.is_success() {
            return Ok(body.into());
        }
        Err(Error::Agent(format!("{pod}: {}", String::from_utf8_lossy(&body).trim())))
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// As [`Self::ask`], or the answer is another.
    pub async fn ask_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let body = self.ask(path).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::Agent(format!("the gateway's agent is of another release: {error}")))
    }

    async fn ready_gateway(&self) -> Result<String, Error> {
        let labels = self.name.selector(Component::Gateway);
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name.namespace);
        let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?;
        let ready = |pod: &&Pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let pod = pods.iter().find(ready).map(ResourceExt::name_any);
        pod.ok_or_else(|| Error::Agent(format!("no gateway of {} is ready", self.name)))
    }
}
