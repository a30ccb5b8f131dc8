//! What an agent is told by its environment. Text comes in, typed settings go out; the operator writes them.

use std::{net::SocketAddr, path::PathBuf};

use age::x25519::Recipient;
use clap::{Args, value_parser};
use serde::de::DeserializeOwned;

use crate::{
    api::system::{Durability, OnDetection, OnFailure},
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
    /// Host name of a store pod, with `{shard}` and `{pod}` in place of the numbers; it begins with the pod's name.
    #[arg(long, env = "STORE_HOST_PATTERN")]
    pub store_host_pattern: String,
    /// How many store shards there are.
    #[arg(long, env = "STORE_SHARDS", default_value = "1")]
    pub store_shards: u32,
    /// How many store pods each has: of two, one serves.
    #[arg(long, env = "STORE_REPLICAS", default_value = "1", value_parser = value_parser!(u32).range(1..=2))]
    pub store_replicas: u32,
    /// Host name that resolves to every clamd.
    #[arg(long, env = "CLAMD_HOST")]
    pub clamd_host: String,
    /// Host and port of the Valkey in which what is sent is counted.
    #[arg(long, env = "CACHE_ADDRESS")]
    pub cache_address: String,
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
    /// The journal, if there is one.
    #[command(flatten)]
    pub journal: Option<JournalSettings>,
    /// Where nginx asks who a client is.
    #[arg(long, default_value = "127.0.0.1:9000")]
    pub auth_address: SocketAddr,
    /// Where clients manage their Sieve scripts.
    #[arg(long, default_value = "0.0.0.0:4190")]
    pub sieve_address: SocketAddr,
}

/// What a gateway's agent is told of the journal.
#[derive(Args, Clone, Debug)]
#[group(requires_all = ["journal_durability", "journal_region", "journal_bucket", "journal_prefix", "journal_keys", "journal_backlog"])]
pub struct JournalSettings {
    /// What happens to mail that object storage does not take.
    #[arg(id = "journal_durability", long = "journal-durability", env = "JOURNAL_DURABILITY", value_parser = by_name::<Durability>, required = false)]
    pub durability: Durability,
    /// Where object storage is; AWS if absent.
    #[arg(id = "journal_endpoint", long = "journal-endpoint", env = "JOURNAL_ENDPOINT")]
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    #[arg(id = "journal_region", long = "journal-region", env = "JOURNAL_REGION", required = false)]
    pub region: String,
    /// The bucket.
    #[arg(id = "journal_bucket", long = "journal-bucket", env = "JOURNAL_BUCKET", required = false)]
    pub bucket: String,
    /// What all names begin with.
    #[arg(id = "journal_prefix", long = "journal-prefix", env = "JOURNAL_PREFIX", required = false)]
    pub prefix: String,
    /// Whom it is encrypted for: public keys of age.
    #[arg(
        id = "journal_keys",
        long = "journal-keys",
        env = "JOURNAL_KEYS",
        value_delimiter = ',',
        required = false
    )]
    pub keys: Vec<Recipient>,
    /// The largest backlog in bytes.
    #[arg(id = "journal_backlog", long = "journal-backlog", env = "JOURNAL_BACKLOG", required = false)]
    pub backlog: u64,
    /// After how many days what is settled is deleted; never if absent.
    #[arg(id = "journal_retention", long = "journal-retention", env = "JOURNAL_RETENTION_DAYS")]
    pub retention: Option<u32>,
    /// Folder with the files of the credentials' Secret.
    #[arg(id = "journal_credentials", long = "journal-credentials", default_value = "/etc/journal")]
    pub credentials: PathBuf,
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
    /// How many store pods the shard has.
    #[arg(long, env = "STORE_REPLICAS", default_value = "1")]
    pub replicas: u32,
    /// Host name of a store pod of this shard, with `{pod}` in place of its number.
    #[arg(long, env = "STORE_PEER_PATTERN")]
    pub peer_pattern: Option<String>,
    /// After how many seconds alone a replica that is not in sync takes over; never if absent.
    #[arg(long, env = "STALE_AFTER_SECONDS")]
    pub stale_after: Option<u64>,
    /// After how many days what is settled is deleted from the journal; never if absent.
    #[arg(long, env = "JOURNAL_RETENTION_DAYS")]
    pub journal_retention: Option<u32>,
    /// Host name that resolves to every gateway.
    #[arg(long, env = "GATEWAY_HOST")]
    pub gateway_host: String,
    /// File with the stores' log-in at the gateways, as Cyrus reads it.
    #[arg(long, default_value = "/etc/gateway-login/smtp.conf")]
    pub gateway_login_file: PathBuf,
    /// File with the key that the stores of a system have.
    #[arg(long, default_value = "/etc/gateway-login/peer-key")]
    pub peer_key_file: PathBuf,
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
        parse_with(on_failure, &[])
    }

    fn parse_with(on_failure: &str, more: &[&str]) -> Result<Gateway, clap::Error> {
        let on_failure = format!("--antivirus-on-failure={on_failure}");
        let all = [
            "x",
            "--pod-name=s-gateway-0",
            "--pod-namespace=mail",
            "--mail-system=s",
            "--mail-hostname=mail.x.vn",
            "--store-host-pattern=s-store-{shard}-{pod}.s-store-{shard}.mail.svc",
            "--clamd-host=s-antivirus.mail.svc",
            "--cache-address=s-cache.mail.svc:6379",
            &on_failure,
            "--antivirus-on-detection=Quarantine",
        ];
        Gateway::try_parse_from(all.iter().chain(more))
    }

    #[test]
    fn policies_have_the_names_of_the_custom_resource() {
        let settings = parse("Accept").unwrap().settings;
        assert_eq!(settings.antivirus_on_failure, OnFailure::Accept);
        assert_eq!(settings.antivirus_on_detection, OnDetection::Quarantine);
        assert_eq!(settings.common.system().directory(), "s-directory");
        assert!(parse("accept").is_err());
    }

    #[test]
    fn a_shard_has_one_store_or_two() {
        let stores = |more: &[&str]| {
            let settings = parse_with("Defer", more)?.settings;
            Ok::<_, clap::Error>((settings.store_shards, settings.store_replicas))
        };
        assert_eq!(stores(&[]).unwrap(), (1, 1));
        assert_eq!(stores(&["--store-shards=4", "--store-replicas=2"]).unwrap(), (4, 2));
        assert!(stores(&["--store-replicas=0"]).is_err() && stores(&["--store-replicas=3"]).is_err());
    }

    #[test]
    fn a_journal_is_told_whole_or_not_at_all() {
        let none: [&str; 0] = [];
        let key = age::x25519::Identity::generate().to_public().to_string();
        let keys = format!("--journal-keys={key},{key}");
        let whole = [
            "--journal-durability=Preferred",
            "--journal-region=us-east-1",
            "--journal-bucket=b",
            "--journal-prefix=n/s",
            &keys,
            "--journal-backlog=1024",
            "--journal-retention=30",
        ];
        assert!(parse_with("Defer", &none).unwrap().settings.journal.is_none());
        let journal = parse_with("Defer", &whole).unwrap().settings.journal.unwrap();
        assert_eq!(
            (journal.durability, journal.keys.len(), journal.endpoint, journal.retention),
            (Durability::Preferred, 2, None, Some(30))
        );
        assert!(parse_with("Defer", &whole[..5]).is_err());
        assert!(parse_with("Defer", &["--journal-keys=age1x"]).is_err());
    }
}
