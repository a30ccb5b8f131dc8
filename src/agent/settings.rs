//! What an agent is told by its environment. Text comes in, typed settings go out; the operator writes them.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;

use crate::{
    api::system::{OnDetection, OnFailure},
    names::SystemName,
};

/// What every agent is told.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Name of the pod.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// Namespace of the pod and of its mail system.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: String,
    /// Name of the mail system.
    #[arg(long, env = "MAIL_SYSTEM")]
    pub mail_system: String,
    /// The mail system's host name, for greetings.
    #[arg(long, env = "MAIL_HOSTNAME")]
    pub mail_hostname: String,
    /// Where health, status and metrics are served.
    #[arg(long, default_value = "0.0.0.0:9100")]
    pub http_address: SocketAddr,
}

impl Common {
    /// The mail system this agent belongs to.
    #[must_use]
    pub fn system(&self) -> SystemName {
        SystemName::new(&self.pod_namespace, &self.mail_system)
    }
}

/// What the gateway's agent is told.
#[derive(Args, Clone, Debug)]
pub struct GatewaySettings {
    /// What every agent is told.
    #[command(flatten)]
    pub common: Common,
    /// Host name of a shard's store pod, with `{shard}` in place of its number.
    #[arg(long, env = "STORE_HOST_PATTERN")]
    pub store_host_pattern: String,
    /// Host name that resolves to every clamd.
    #[arg(long, env = "CLAMD_HOST")]
    pub clamd_host: String,
    /// What happens to a message that no clamd could judge.
    #[arg(long, env = "ANTIVIRUS_ON_FAILURE", value_parser = by_name::<OnFailure>)]
    pub antivirus_on_failure: OnFailure,
    /// What happens to a message with malware.
    #[arg(long, env = "ANTIVIRUS_ON_DETECTION", value_parser = by_name::<OnDetection>)]
    pub antivirus_on_detection: OnDetection,
    /// File with the token by which Rspamd's verdicts are known.
    #[arg(long, default_value = "/etc/internal/token")]
    pub token_file: PathBuf,
    /// Folder with `tls.crt` and `tls.key`, as served.
    #[arg(long, default_value = "/etc/tls")]
    pub tls_dir: PathBuf,
    /// Folder of the sockets and files shared with Postfix and nginx.
    #[arg(long, default_value = "/run/agent")]
    pub run_dir: PathBuf,
    /// Folder that outlives the pod.
    #[arg(long, default_value = "/var/lib/agent")]
    pub data_dir: PathBuf,
    /// Where nginx asks who a client is.
    #[arg(long, default_value = "127.0.0.1:9000")]
    pub auth_address: SocketAddr,
}

/// What the store's agent is told.
#[derive(Args, Clone, Debug)]
pub struct StoreSettings {
    /// What every agent is told.
    #[command(flatten)]
    pub common: Common,
    /// The store shard that this pod serves.
    #[arg(long, env = "SHARD")]
    pub shard: u32,
    /// Folder that outlives the pod, for the agent's own files.
    #[arg(long, default_value = "/data/agent")]
    pub data_dir: PathBuf,
}

/// What the agent beside Rspamd is told.
#[derive(Args, Clone, Debug)]
pub struct AntispamSettings {
    /// What every agent is told.
    #[command(flatten)]
    pub common: Common,
    /// Folder in which Rspamd finds the keys.
    #[arg(long, default_value = "/etc/dkim")]
    pub keys_dir: PathBuf,
}

/// A value of the custom resource by the name it has there.
fn by_name<T: DeserializeOwned>(name: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Gateway {
        #[command(flatten)]
        settings: GatewaySettings,
    }

    fn parse(on_failure: &str) -> Result<Gateway, clap::Error> {
        Gateway::try_parse_from([
            "x",
            "--pod-name=s-gateway-0",
            "--pod-namespace=mail",
            "--mail-system=s",
            "--mail-hostname=mail.x.vn",
            "--store-host-pattern=s-store-{shard}-0.s-store-{shard}.mail.svc",
            "--clamd-host=s-antivirus.mail.svc",
            &format!("--antivirus-on-failure={on_failure}"),
            "--antivirus-on-detection=Quarantine",
        ])
    }

    #[test]
    fn policies_have_the_names_of_the_custom_resource() {
        let settings = parse("Accept").unwrap().settings;
        assert_eq!(settings.antivirus_on_failure, OnFailure::Accept);
        assert_eq!(settings.antivirus_on_detection, OnDetection::Quarantine);
        assert_eq!(settings.common.system().directory(), "s-directory");
        assert!(parse("accept").is_err());
    }
}
