//! Systems out of a few lines of YAML, for tests.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, StatefulSet, StatefulSetStatus};

use super::{
    fetch::{Classes, Fetched},
    validate::{Checked, ValidateError},
    workloads::Workloads,
};
use crate::{
    api::{MailSystem, MailSystemSpec},
    images::Images,
    names::SystemName,
};

/// A time at which tests happen, seconds of Unix time.
pub const NOW: i64 = 1_790_000_000;

/// The images of a test.
pub fn images() -> Images {
    let image = |name: &str| format!("example/{name}:1");
    Images {
        operator: image("mail-operator"),
        postfix: image("postfix"),
        nginx: image("nginx"),
        cyrus: image("cyrus"),
        rspamd: image("rspamd"),
        clamav: image("clamav"),
        valkey: image("valkey"),
    }
}

/// A system `demo` in namespace `mail` with this spec, in a cluster that has whatever it may want.
pub fn fetched(spec: &str) -> Fetched {
    let spec: MailSystemSpec = serde_saphyr::from_str(spec).unwrap();
    let stores = vec![None; spec.store.shards as usize];
    let mut system = MailSystem::new("demo", spec);
    system.metadata.namespace = Some("mail".to_owned());
    system.metadata.uid = Some("2b6c".to_owned());
    system.metadata.generation = Some(1);
    let signatures = system
        .spec
        .antivirus
        .signature_secret
        .as_ref()
        .map(|_| serde_json::from_value(serde_json::json!({"data": {"local.ndb": "eA=="}})).unwrap());
    Fetched {
        name: SystemName::new("mail", "demo"),
        system,
        tls: None,
        served: None,
        internal: None,
        journal_key: None,
        journal_credentials: None,
        ldap: BTreeMap::new(),
        signatures,
        backups: Vec::new(),
        classes: Classes::default(),
        workloads: Workloads { stores, ..Workloads::default() },
        orphan: None,
    }
}

/// Checks it.
pub fn validate(fetched: &Fetched) -> Result<Checked, ValidateError> {
    super::validate::validate(fetched, &images(), [7; 32], NOW)
}

/// The workloads that `desired` asks for, as their controllers would report them: `ready` pods of each, by name; all of
/// them where a name is missing.
pub fn running(desired: crate::operator::desired::Desired, ready: &BTreeMap<&str, i32>) -> Workloads {
    let of =
        |name: Option<&String>, wanted: Option<i32>| ready.get(name.unwrap().as_str()).copied().or(wanted);
    let set = |mut set: StatefulSet| {
        let wanted = set.spec.as_ref().unwrap().replicas;
        set.metadata.generation = Some(1);
        set.status = Some(StatefulSetStatus {
            observed_generation: Some(1),
            updated_replicas: wanted,
            ready_replicas: of(set.metadata.name.as_ref(), wanted),
            ..StatefulSetStatus::default()
        });
        set
    };
    let deployment = |mut deployment: Deployment| {
        let wanted = deployment.spec.as_ref().unwrap().replicas;
        deployment.metadata.generation = Some(1);
        deployment.status = Some(DeploymentStatus {
            observed_generation: Some(1),
            updated_replicas: wanted,
            ready_replicas: of(deployment.metadata.name.as_ref(), wanted),
            ..DeploymentStatus::default()
        });
        deployment
    };
    Workloads {
        gateway: desired.gateway.map(set),
        stores: desired.stores.into_iter().map(|store| store.map(set)).collect(),
        antispam: Some(deployment(desired.antispam)),
        antivirus: Some(deployment(desired.antivirus)),
        cache: desired.cache.map(set),
    }
}
