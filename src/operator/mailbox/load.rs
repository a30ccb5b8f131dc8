//! What a system's directory is when the operator starts: read once, so that a restart hashes and writes nothing.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::rand;
use backon::Retryable;
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::{
    cluster::{endless_tries, transient},
    index::Existing,
    issue::{self, Issued, Part, SECRET_TYPE},
    role,
};
use crate::{
    directory::{CONTENT, ISSUED, decode_index, decode_shard},
    names::SystemName,
};

/// A directory that was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// For the index; `None` if there was no directory.
    pub existing: Option<Existing>,
    /// For the next issue.
    pub issued: Issued,
}

/// Reads the directory of the system. Tries until the API server answers.
///
/// # Errors
/// The API server refused.
pub async fn load(client: &Client, system: &SystemName, uid: &str) -> Result<Loaded, kube::Error> {
    let attempt = || async {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &system.namespace);
        let labels = format!("app.kubernetes.io/instance={}", system.name);
        let parameters = ListParams::default().fields(&format!("type={SECRET_TYPE}")).labels(&labels);
        let listed = secrets.list(&parameters).await?;
        let name = system.directory();
        let role = Api::<Role>::namespaced(client.clone(), &system.namespace).get_opt(&name).await?;
        let binding =
            Api::<RoleBinding>::namespaced(client.clone(), &system.namespace).get_opt(&name).await?;
        Ok((listed.items, role, binding))
    };
    let (secrets, role, binding) = attempt.retry(endless_tries()).when(transient).await?;
    let mut loaded = read(system, &secrets);
    let count = loaded.existing.as_ref().map(|existing| existing.shards);
    loaded.issued.role = count.filter(|count| {
        role.is_some_and(|role| role.rules == role::role(system, uid, *count).rules)
            && binding.is_some_and(|binding| binding.subjects == role::binding(system, uid).subjects)
    });
    if loaded.issued.token_key.is_empty() {
        loaded.issued.token_key = token_key();
    }
    Ok(loaded)
}

/// What the Secrets say. Parts that cannot be read are left out, and so are written anew. Pure.
fn read(system: &SystemName, secrets: &[Secret]) -> Loaded {
    let content: BTreeMap<String, &[u8]> = secrets
        .iter()
        .filter_map(|secret| Some((secret.name_any(), secret.data.as_ref()?.get(CONTENT)?.0.as_slice())))
        .collect();
    let mut loaded = Loaded::default();
    for secret in secrets {
        let name = secret.name_any();
        let issued = secret.data.as_ref().and_then(|data| data.get(ISSUED));
        let issued = issued.and_then(|text| std::str::from_utf8(&text.0).ok()?.parse().ok());
        if let (Some(issued), Some(bytes)) = (issued, content.get(&name)) {
            loaded.issued.parts.insert(name, Part { digest: issue::digest(bytes), issued });
        }
    }
    let Some(index) = content.get(&system.directory()).and_then(|bytes| decode_index(bytes).ok()) else {
        return loaded;
    };
    loaded.issued.token_key = index.token_key;
    let shards = (0..index.shards).filter_map(|shard| {
        let name = system.directory_shard(index.shards, shard);
        decode_shard(content.get(&name)?).ok()
    });
    let (mut entries, mut retired, mut groups) = (HashMap::new(), BTreeMap::new(), HashMap::new());
    for shard in shards {
        entries.extend(shard.entries);
        retired.extend(shard.retired);
        groups.extend(shard.groups);
    }
    let (shards, holders, domain_limits) = (index.shards, index.holders, index.domain_limits);
    let ldap = index.ldap;
    loaded.existing = Some(Existing { shards, entries, holders, domain_limits, retired, groups, ldap });
    loaded
}

/// 32 random bytes as hexadecimal digits. Without randomness the process cannot serve TLS either; an empty key then
/// makes the agents refuse tokens.
fn token_key() -> String {
    let mut bytes = [0_u8; 32];
    if rand::fill(&mut bytes).is_err() {
        return String::new();
    }
    bytes.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}
