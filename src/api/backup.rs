//! `MailBackup`: backups of a mail system's mailboxes, on a schedule, proven by restoring them.
// Retention's fields are called so where people know them from; what is derived from it has them too.
#![allow(clippy::struct_field_names)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::system::ObjectStorage;

/// Wishes for backups of one mail system.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailBackup",
    plural = "mailbackups",
    namespaced,
    category = "mail",
    status = "MailBackupStatus",
    derive = "PartialEq",
    doc = "Backups of a MailSystem in the same namespace, made on a schedule into a restic repository and proven by restoring them.",
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "LastSuccess", type_ = "date", json_path = ".status.lastSuccess"),
    printcolumn(
        name = "Verified",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Verified\")].status"
    ),
    printcolumn(name = "Snapshots", type_ = "integer", json_path = ".status.snapshots"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextRun"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Running", type_ = "string", json_path = ".status.running.progress", priority = 1),
    printcolumn(name = "RestoreTime", type_ = "string", json_path = ".status.restoreTime", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name.size() <= 40").message(
        "the name of a MailBackup is limited to 40 characters, since the names of its runs begin with it"
    ),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct MailBackupSpec {
    /// The MailSystem, in the same namespace. It cannot be changed.
    #[x_kube(validation = ("self == oldSelf", "the system of a backup cannot be changed; make another MailBackup"))]
    pub system: LocalSystemRef,

    /// Where the backups are kept. It cannot be changed: what was stored there would be out of sight.
    #[x_kube(validation = ("self == oldSelf", "the repository of a backup cannot be changed; make another MailBackup"))]
    pub repository: Repository,

    /// A Secret in the same namespace whose key `password` encrypts the repository. Keep it elsewhere too: without it no
    /// backup can be read.
    #[schemars(length(min = 1, max = 253))]
    pub encryption_secret: String,

    /// When: cron's five fields (minute, hour, day of month, month, day of week), for example `30 1 * * *`. Once, as soon as
    /// the object is there, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 120))]
    pub schedule: Option<String>,

    /// The time zone of the schedules, for example `Asia/Ho_Chi_Minh`.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,

    /// Nothing begins while this is set; what runs goes on.
    #[serde(default)]
    pub suspend: bool,

    /// A run that could not begin for so long is left out, for example `2h`. At the next opportunity one run stands for any
    /// number of missed ones if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]{0,4}[mhd]$')", "must be a number of minutes, hours or days, such as 90m, 2h or 1d"))]
    #[schemars(length(min = 2, max = 6))]
    pub starting_deadline: Option<String>,

    /// Which mailboxes. All of the system if absent, retired ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxes: Option<MailboxSelector>,

    /// Whether the objects of the system go along, so that it can be made anew on an empty cluster.
    #[serde(default)]
    pub objects: IncludeObjects,

    /// Which snapshots are kept. All if absent. The last verified one is always kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// What becomes of a snapshot in the repository when its MailSnapshot is deleted.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,

    /// How backups are proven.
    #[serde(default)]
    pub verify: Verify,
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

/// Names a MailSystem in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LocalSystemRef {
    /// Name of the MailSystem.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// Where backups are kept: exactly one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.objectStorage) != has(self.volume)", "exactly one of objectStorage and volume has to be there"))]
pub struct Repository {
    /// In a bucket. `prefix` is `<namespace>/<name of the system>/backup` if absent; each shard has a repository of its own
    /// below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_storage: Option<ObjectStorage>,
    /// On a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<RepositoryVolume>,
}

/// A volume with repositories.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryVolume {
    /// A PersistentVolumeClaim in the same namespace that pods on every node of stores can mount.
    #[schemars(length(min = 1, max = 253))]
    pub claim: String,
    /// The folder in it.
    #[serde(default = "default_path")]
    #[x_kube(validation = ("self.matches('^[a-zA-Z0-9._-]+(/[a-zA-Z0-9._-]+)*$') && !self.split('/').exists(p, p == '..' || p == '.')", "must be names of letters, digits and . _ - with / between them"))]
    #[schemars(length(min = 1, max = 200))]
    pub path: String,
}

fn default_path() -> String {
    "backup".to_owned()
}

/// Some of the mailboxes: those that one of the lists names.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.addresses) && self.addresses.size() > 0) || (has(self.domains) && self.domains.size() > 0)", "name addresses or domains, or leave mailboxes out for all"))]
pub struct MailboxSelector {
    /// Addresses of mailboxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "addresses_schema")]
    pub addresses: Vec<String>,
    /// Domains, for all mailboxes in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "domains_schema")]
    pub domains: Vec<String>,
}

/// Whether objects go along with the mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObjects {
    /// MailSystem, MailDomains, Mailboxes, MailGroups and RetiredMailboxes, without Secrets.
    #[default]
    WithoutSecrets,
    /// The same and the Secrets that they name or the operator made: passwords, DKIM keys, the journal's key. Whoever has
    /// the repository and its password has them too.
    WithSecrets,
    /// Nothing but mail.
    None,
}

/// How many snapshots are kept: the latest, and the latest of each of so many hours, days, weeks, months and years in which
/// there is one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.keepLast), has(self.keepHourly), has(self.keepDaily), has(self.keepWeekly), has(self.keepMonthly), has(self.keepYearly)].exists(k, k)", "say how many to keep, or leave retention out to keep all"))]
pub struct Retention {
    /// The latest ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_last: Option<u32>,
    /// One of each hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_hourly: Option<u32>,
    /// One of each day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_daily: Option<u32>,
    /// One of each week, which begins on Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_weekly: Option<u32>,
    /// One of each month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_monthly: Option<u32>,
    /// One of each year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_yearly: Option<u32>,
}

/// What becomes of a snapshot in the repository when its object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReclaimPolicy {
    /// It stays, and its object is made again.
    #[default]
    Retain,
    /// It is forgotten.
    Delete,
}

/// How backups are proven.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// By what.
    #[serde(default)]
    pub mode: VerifyMode,
    /// When: cron's five fields. After each successful run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 120))]
    pub schedule: Option<String>,
    /// How many of a hundred messages are read over IMAP and compared. Of each mailbox all messages are counted, and all
    /// files are compared with what they were.
    #[serde(default = "default_sample")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: u32,
    /// Where a restore is tried.
    #[serde(default)]
    pub scratch: Scratch,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            mode: VerifyMode::default(),
            schedule: None,
            sample_percent: default_sample(),
            scratch: Scratch::default(),
        }
    }
}

fn default_sample() -> u32 {
    5
}

/// By what backups are proven.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// By restoring them, and reading the mail over IMAP from a Cyrus of its own.
    #[default]
    Restore,
    /// By reading all data of the repository. `Verified` stays Unknown: nothing was restored.
    Check,
    /// By nothing. `Verified` stays Unknown.
    None,
}

/// A volume that is there while a restore is tried.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Scratch {
    /// Its size, a quantity; that of a store's volume if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))", "must be a quantity, such as 100Gi"))]
    #[schemars(length(max = 32))]
    pub size: Option<String>,
    /// Its storage class; that of the stores if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

/// What is known of the backups.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailBackupStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The latest time of the schedule that was run or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scheduled: Option<Time>,
    /// The same of the schedule by which backups are proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verify_scheduled: Option<Time>,
    /// The value of the annotation `mail.angiang.gov.vn/run-now` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_now: Option<String>,
    /// When the snapshots in the repositories were last listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_listed: Option<Time>,
    /// What runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// When the latest successful run had frozen the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Time>,
    /// When a restore last proved a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<Time>,
    /// The MailSnapshot that it proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_snapshot: Option<String>,
    /// When the next run is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Time>,
    /// How many MailSnapshots there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<u32>,
    /// What the repositories take, a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// How long the last proof took from an empty volume to served mail, the slowest shard's: for example `12m30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_time: Option<String>,
    /// The latest runs and proofs, the newest first; at most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
    /// `Ready`: backups can be made and are made when they are due. `Succeeded`: the latest run did. `Verified`: the latest
    /// proof restored all that it should have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What is done with a repository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// A backup.
    #[default]
    Backup,
    /// A proof.
    Verify,
    /// Snapshots are listed, or forgotten ones removed.
    Maintain,
}

/// What runs now.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// Names the run.
    pub run: String,
    /// What it is.
    pub activity: Activity,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// Where it is, in words: the shard, what is done, `42 %`.
    pub progress: String,
    /// How far it is, of a hundred, over all shards.
    pub percent: u32,
    /// Mailboxes that were read so far.
    pub mailboxes: u64,
    /// Bytes that were stored or restored so far.
    pub bytes: u64,
    /// When it will be done, if it goes on as it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<Time>,
}

/// What ran.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PastRun {
    /// Names the run; a backup that succeeded has a MailSnapshot of this name.
    pub run: String,
    /// What it was.
    pub activity: Activity,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    /// `Succeeded`, or why it did not.
    pub reason: String,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Mailboxes with which something is wrong; at most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mailboxes: Vec<String>,
}

fn addresses_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 1000, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$"}
    })
}

fn domains_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 100, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 253, "pattern": "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$"}
    })
}
