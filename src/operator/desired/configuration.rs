//! The ConfigMaps with the daemons' files, and the hashes by which pods follow them. Pure.

use aws_lc_rs::digest;
use k8s_openapi::api::core::v1::ConfigMap;

use super::pod;
use crate::{
    names::Component,
    operator::{
        config::{Files, clamav, cyrus, nginx, postfix, rspamd, valkey},
        system::{
            validated::{Signatures, Validated},
            values::{RelayHost, hex},
        },
    },
};

/// One ConfigMap for each daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Postfix.
    pub postfix: ConfigMap,
    /// nginx.
    pub nginx: ConfigMap,
    /// Cyrus.
    pub cyrus: ConfigMap,
    /// Rspamd.
    pub rspamd: ConfigMap,
    /// clamd and freshclam.
    pub clamav: ConfigMap,
    /// Valkey.
    pub valkey: ConfigMap,
}

/// What pods are replaced for when it changes: their files and, where a daemon reads it at its start only, the token.
/// Certificates and the directory are not in it, since they are taken up in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// Of the gateway pods.
    pub gateway: String,
    /// Of the store pods.
    pub store: String,
    /// Of the spam filter's pods.
    pub antispam: String,
    /// Of the virus scanner's pods.
    pub antivirus: String,
    /// Of the cache's pod.
    pub cache: String,
}

/// Renders everything.
pub fn all(v: &Validated) -> Configuration {
    let host = |component| format!("{}.{}.svc", v.name.component(component), v.name.namespace);
    let (hostname, message_size) = (v.hostname.as_str(), v.gateway.message_size);
    let mirrors = match &v.antivirus.signatures {
        Signatures::Mirrors(mirrors) => mirrors.as_slice(),
        Signatures::Secret(_) => &[],
    };
    let postfix = postfix::render(&postfix::Postfix {
        hostname,
        message_size,
        relay_host: v.gateway.relay_host.as_ref().map(RelayHost::as_str),
        antispam_host: &host(Component::Antispam),
    });
    let cyrus = cyrus::render(&cyrus::Cyrus { hostname, gateway_host: &v.name.gateway_pods_host() });
    let rspamd = rspamd::render(&rspamd::Rspamd {
        add_header: v.antispam.thresholds.add_header,
        reject: v.antispam.thresholds.reject,
        cache_host: &host(Component::Cache),
    });
    let map = |daemon, component, files| ConfigMap {
        metadata: pod::meta(v, v.name.config(daemon), Some(component)),
        data: Some(files),
        ..ConfigMap::default()
    };
    Configuration {
        postfix: map("postfix", Component::Gateway, postfix),
        nginx: map("nginx", Component::Gateway, nginx::render(&nginx::Nginx { hostname })),
        cyrus: map("cyrus", Component::Store, cyrus),
        rspamd: map("rspamd", Component::Antispam, rspamd),
        clamav: map(
            "clamav",
            Component::Antivirus,
            clamav::render(&clamav::Clamav { message_size, mirrors }),
        ),
        valkey: map("valkey", Component::Cache, valkey::render()),
    }
}

impl Configuration {
    /// The hashes of what is in it.
    #[must_use]
    pub fn hashes(&self, v: &Validated) -> Hashes {
        let token = v.token.as_str();
        Hashes {
            gateway: hash(&[&self.postfix, &self.nginx], token),
            store: hash(&[&self.cyrus], token),
            antispam: hash(&[&self.rspamd], token),
            antivirus: hash(&[&self.clamav], ""),
            cache: hash(&[&self.valkey], ""),
        }
    }
}

fn hash(maps: &[&ConfigMap], token: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |text: &str| {
        // The length keeps two neighbours from being taken for one another.
        context.update(&text.len().to_be_bytes());
        context.update(text.as_bytes());
    };
    let empty = Files::new();
    for (name, content) in maps.iter().flat_map(|map| map.data.as_ref().unwrap_or(&empty)) {
        part(name);
        part(content);
    }
    part(token);
    hex(&context.finish().as_ref()[..8])
}
