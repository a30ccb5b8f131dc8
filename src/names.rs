//! Names and labels: how the objects of a mail system are called, and the newtypes that keep a host name from being
//! taken for an address. Pure; nothing here knows a client.

use std::{collections::BTreeMap, fmt};

/// Field manager of server-side apply, and value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "mail-operator";
/// Label of every object that the operator makes; its value is [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label with the name of the MailSystem that an object is part of.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the number of a store shard. As an annotation of a Mailbox that came back from a backup: the shard that had its
/// mail, and is to have it again.
pub const SHARD_LABEL: &str = "mail.angiang.gov.vn/shard";
/// Label with the name of the MailBackup that a Job or a snapshot is of.
pub const BACKUP_LABEL: &str = "mail.angiang.gov.vn/backup";
/// Label of a Job, and of what it needs, with the run of a MailBackup, or the MailRestore, that it is a part of.
pub const RUN_LABEL: &str = "mail.angiang.gov.vn/run";
/// Annotation of a Job with what its pod said at its end, so that it is known when the pod is gone.
pub const RESULT: &str = "mail.angiang.gov.vn/result";
/// Finalizer of a MailSnapshot whose snapshots are forgotten in the repository when it is deleted.
pub const FORGET: &str = "mail.angiang.gov.vn/forget";
/// Annotation with the hash of what a pod mounts, so that it is replaced when that changes.
pub const CONFIG_HASH: &str = "mail.angiang.gov.vn/config-hash";

/// Annotation by which a Mailbox takes over the mail that its store has under its address, whoever's it was; its value
/// repeats the address. On a MailSystem, where its value repeats the name, it speaks for all of its Mailboxes.
pub const ADOPT: &str = "mail.angiang.gov.vn/adopt";

/// Annotation by which a RetiredMailbox is purged before its time; its value repeats the address.
pub const PURGE: &str = "mail.angiang.gov.vn/purge";
/// Annotation by which a MailSystem's vanished mailboxes are confirmed to be gone on purpose; its value is the word for them
/// that the condition `MassDeletion` says.
pub const CONFIRM_DELETION: &str = "mail.angiang.gov.vn/confirm-deletion";

/// Annotation by which a Mailbox that was suspended for bulk sending may send again; its value repeats
/// `status.sendingSuspended.since`.
pub const RESUME_SENDING: &str = "mail.angiang.gov.vn/resume-sending";

/// Annotation by which a MailBackup runs now, whatever its schedule; its value is the time at which that was asked for, and
/// `status.lastRunNow` repeats it once it was acted on.
pub const RUN_NOW: &str = "mail.angiang.gov.vn/run-now";

/// Type of the Secrets with objects that go along with a backup.
pub const OBJECTS_TYPE: &str = "mail.angiang.gov.vn/objects";
/// Annotation of a Secret that came back from a backup: the address of the mailbox whose generated password it holds. The
/// Mailbox with that address comes to own it.
pub const PASSWORD_OF: &str = "mail.angiang.gov.vn/password-of";
/// Annotation of a Mailbox that came back from a backup: the addresses that it had and that went on reaching it, with commas
/// between. They are among its aliases.
pub const FORMER_ADDRESSES: &str = "mail.angiang.gov.vn/former-addresses";
/// Annotation of a Mailbox that came back from a backup: the address that it was to get and could not.
pub const WANTED_ADDRESS: &str = "mail.angiang.gov.vn/wanted-address";
/// Annotation of a namespace into which objects of a MailSystem in another one may come back; its value is
/// `<namespace>/<name>` of the MailSystem.
pub const RECOVER: &str = "mail.angiang.gov.vn/recover";

/// Annotations of a shard's Lease ([`SystemName::store`] is its name): who is primary is decided over them. Each change is
/// a compare-and-swap by an agent; the last two are for people and for `kubectl mail`.
pub mod lease {
    /// The epoch, a decimal number; its parity names the holder. Absent or `0`: nobody ever served.
    pub const EPOCH: &str = "mail.angiang.gov.vn/epoch";
    /// `true`: the holder registered that the other disk has everything.
    pub const IN_SYNC: &str = "mail.angiang.gov.vn/in-sync";
    /// `true`: the holder has stopped serving this epoch.
    pub const RELEASED: &str = "mail.angiang.gov.vn/released";
    /// Name of the pod that asks a holder which it cannot hear to make way.
    pub const HANDOVER_TO: &str = "mail.angiang.gov.vn/handover-to";
    /// By which a planned switchover is ordered; its value is the epoch that is to end, so that an order is carried out once.
    pub const SWITCHOVER: &str = "mail.angiang.gov.vn/switchover";
    /// By which the disk of a pod is declared gone, so that the other serves although changes may be missing there; its
    /// value is `POD@EPOCH`, with the epoch of the Lease.
    pub const DECLARE_LOST: &str = "mail.angiang.gov.vn/declare-lost";
}

/// Label of a store pod with its role: `primary` or `replica`. For people and Services of their own; gateways ask the agents.
pub const ROLE_LABEL: &str = "mail.angiang.gov.vn/role";
/// Value of [`ROLE_LABEL`] of the store that serves.
pub const PRIMARY: &str = "primary";
/// Value of [`ROLE_LABEL`] of one that does not.
pub const REPLICA: &str = "replica";

/// Ports inside the cluster. The outer ones are the protocols' own.
pub mod ports {
    /// SMTP between servers (RFC 5321).
    pub const SMTP: u16 = 25;
    /// Submission with implicit TLS (RFC 8314).
    pub const SUBMISSIONS: u16 = 465;
    /// Submission with STARTTLS (RFC 6409).
    pub const SUBMISSION: u16 = 587;
    /// IMAP with implicit TLS.
    pub const IMAPS: u16 = 993;
    /// POP3 with implicit TLS.
    pub const POP3S: u16 = 995;
    /// Health, status and metrics of every agent and of the operator.
    pub const HTTP: u16 = 9100;
    /// ManageSieve with STARTTLS (RFC 5804), the gateways' proxy.
    pub const SIEVE: u16 = 4190;
    /// IMAP with implicit TLS as nginx listens to it in the pod, where it may bind no port below 1024.
    pub const PROXY_IMAPS: u16 = 10993;
    /// POP3 with implicit TLS as nginx listens to it in the pod.
    pub const PROXY_POP3S: u16 = 10995;
    /// nginx asks here who a client is; loopback of the gateway pod only.
    pub const AUTH_HTTP: u16 = 9000;
    /// The stores' agents speak to each other here, and gateways ask them for their role.
    pub const ROLE: u16 = 9101;
    /// The replica's Cyrus takes what the primary's sends.
    pub const CYRUS_SYNC: u16 = 2005;
    /// The door: LMTP of the store's agent.
    pub const DOOR: u16 = 2003;
    /// SMTP of the gateways for what Sieve sends, reached by the stores.
    pub const STORE_SMTP: u16 = 10026;
    /// Cyrus IMAP, reached by the gateways' proxy.
    pub const CYRUS_IMAP: u16 = 1143;
    /// Cyrus POP3, reached by the gateways' proxy.
    pub const CYRUS_POP3: u16 = 1110;
    /// Cyrus LMTP, on the loopback of the store pod.
    pub const CYRUS_LMTP: u16 = 2424;
    /// Cyrus ManageSieve.
    pub const CYRUS_SIEVE: u16 = 4190;
    /// Rspamd's milter.
    pub const ANTISPAM: u16 = 11332;
    /// clamd.
    pub const ANTIVIRUS: u16 = 3310;
    /// Valkey.
    pub const CACHE: u16 = 6379;
}

/// The parts of a mail system, as they appear in labels and object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Postfix, nginx and their agent.
    Gateway,
    /// Cyrus and its agent.
    Store,
    /// Rspamd.
    Antispam,
    /// clamd.
    Antivirus,
    /// Valkey.
    Cache,
}

impl Component {
    /// Every component, in the order in which they are reported.
    pub const ALL: [Self; 5] = [Self::Gateway, Self::Store, Self::Antispam, Self::Antivirus, Self::Cache];

    /// The name in labels and object names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Store => "store",
            Self::Antispam => "antispam",
            Self::Antivirus => "antivirus",
            Self::Cache => "cache",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a mail system and of its namespace: what every other name is derived from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemName {
    /// Namespace of the MailSystem.
    pub namespace: String,
    /// Name of the MailSystem.
    pub name: String,
}

impl SystemName {
    /// Names the system `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Name of a component's workload, Service and configuration: `S-gateway`. Stores have one for each shard: [`Self::store`].
    #[must_use]
    pub fn component(&self, component: Component) -> String {
        format!("{}-{component}", self.name)
    }

    /// Name of a shard's StatefulSet and headless Service: `S-store-0`.
    #[must_use]
    pub fn store(&self, shard: u32) -> String {
        format!("{}-store-{shard}", self.name)
    }

    /// Host name of a pod of the shard, with `{pod}` left for the agent to fill in.
    #[must_use]
    pub fn store_peer_pattern(&self, shard: u32) -> String {
        format!("{0}-{{pod}}.{0}.{1}.svc", self.store(shard), self.namespace)
    }

    /// Name of the Secret with the stores' log-in at the gateways.
    #[must_use]
    pub fn gateway_login(&self) -> String {
        format!("{}-gateway-login", self.name)
    }

    /// Host name that resolves to every gateway pod in service.
    #[must_use]
    pub fn gateway_pods_host(&self) -> String {
        format!("{}.{}.svc", self.gateway_pods(), self.namespace)
    }

    /// Name of the headless Service of the gateway pods.
    #[must_use]
    pub fn gateway_pods(&self) -> String {
        format!("{}-gateway-pods", self.name)
    }

    /// Host name of a store pod, with `{shard}` and `{pod}` left for the agent to fill in.
    #[must_use]
    pub fn store_host_pattern(&self) -> String {
        format!("{0}-store-{{shard}}-{{pod}}.{0}-store-{{shard}}.{1}.svc", self.name, self.namespace)
    }

    /// ConfigMap of a daemon: `S-postfix`.
    #[must_use]
    pub fn config(&self, daemon: &str) -> String {
        format!("{}-{daemon}", self.name)
    }

    /// Secret with the certificate that is served.
    #[must_use]
    pub fn tls(&self) -> String {
        format!("{}-tls", self.name)
    }

    /// Secret with the DKIM keys, mounted by Rspamd.
    #[must_use]
    pub fn dkim(&self) -> String {
        format!("{}-dkim", self.name)
    }

    /// Secret with the tokens of this installation, made once.
    #[must_use]
    pub fn internal(&self) -> String {
        format!("{}-internal", self.name)
    }

    /// Secret with the key that opens the journal, made once and kept when the system is deleted.
    #[must_use]
    pub fn journal_key(&self) -> String {
        format!("{}-journal-key", self.name)
    }

    /// Secret with the index of the directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}-directory", self.name)
    }

    /// Secret with shard `index` of a directory of `count` shards.
    #[must_use]
    pub fn directory_shard(&self, count: u32, index: u32) -> String {
        format!("{}-directory-{count}-{index}", self.name)
    }

    /// Labels by which the objects of a component are selected.
    #[must_use]
    pub fn selector(&self, component: Component) -> BTreeMap<String, String> {
        [("name", MANAGER), ("instance", &self.name), ("component", component.as_str())]
            .into_iter()
            .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
            .collect()
    }

    /// Labels of every object of the system.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        [("name", MANAGER), ("instance", &self.name), ("managed-by", MANAGER)]
            .into_iter()
            .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
            .collect()
    }
}

impl fmt::Display for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
