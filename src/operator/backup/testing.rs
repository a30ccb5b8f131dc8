//! MailBackups out of a few lines of YAML, and what Jobs say, for tests.

use super::{
    fetch::Fetched,
    jobs::{ShardJob, State},
    validate::{Checked, validate},
    validated::Validated,
};
use crate::{
    api::{MailBackup, MailBackupSpec, MailSystem},
    job::{BackupDone, MaintainWork, Stored, Work},
    names::SystemName,
    operator::system::testing::images,
};

/// A MailBackup `nightly` of the system `demo` in namespace `mail`, made on 1 November 2026, whose spec says this besides.
pub fn backup(more: &str) -> MailBackup {
    let mut spec: serde_json::Value = serde_saphyr::from_str(
        "{system: {name: demo}, encryptionSecret: key, repository: {objectStorage: {endpoint: 'http://s3.x.vn:9000', bucket: backups, credentialsSecret: s3}}}",
    )
    .unwrap();
    let more: serde_json::Value = serde_saphyr::from_str(more).unwrap();
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec: MailBackupSpec = serde_json::from_value(spec).unwrap();
    let mut backup = MailBackup::new("nightly", spec);
    backup.metadata.namespace = Some("mail".to_owned());
    backup.metadata.uid = Some("b1".to_owned());
    backup.metadata.generation = Some(1);
    backup.metadata.creation_timestamp = serde_json::from_value("2026-11-01T00:00:00Z".into()).unwrap();
    backup
}

/// What it depends on, all there: a system with this spec of stores, each shard with one store.
pub fn fetched(more: &str, shards: u32) -> Fetched {
    let secret = |data: serde_json::Value| serde_json::from_value(serde_json::json!({"data": data})).unwrap();
    let spec = format!(
        "{{hostname: mail.x.vn, store: {{shards: {shards}, replicas: 1, storage: {{size: 20Gi, storageClassName: fast}}}}}}"
    );
    let system = MailSystem::new("demo", serde_saphyr::from_str(&spec).unwrap());
    let name = SystemName::new("mail", "demo");
    Fetched {
        backup: backup(more),
        system: Some(system),
        encryption: Some(secret(serde_json::json!({"password": "cA=="}))),
        storage: Some(secret(serde_json::json!({"accessKeyId": "aQ==", "secretAccessKey": "cw=="}))),
        claim: true,
        volumes: (0..shards).map(|shard| format!("data-{}-0", name.store(shard))).collect(),
        nodes: (0..shards)
            .map(|shard| (format!("{}-0", name.store(shard)), format!("node-{shard}")))
            .collect(),
        snapshots: Vec::new(),
        selected: true,
        rival: None,
    }
}

/// It, checked.
pub fn checked(fetched: &Fetched) -> Checked {
    validate(fetched, &images())
}

/// The same, which nothing keeps from being carried out.
pub fn validated(more: &str, shards: u32) -> Validated {
    checked(&fetched(more, shards)).validated.unwrap()
}

/// The id of a snapshot.
pub fn id(number: u32) -> String {
    format!("{number:064x}")
}

/// What a backup of a run stored under this number.
pub fn of_run(number: u32, run: &str, frozen: i64) -> Stored {
    Stored {
        id: id(number),
        run: run.to_owned(),
        frozen,
        mailboxes: Some(2),
        messages: Some(10),
        added: Some(1024),
        complete: true,
    }
}

/// What came of a backup that succeeded.
pub fn stored(number: u32, run: &str) -> BackupDone {
    BackupDone {
        snapshot: Some(of_run(number, run, 1_796_000_000_123)),
        failed: None,
        vanished: Vec::new(),
        lacking: [].into(),
        took: 1000,
    }
}

/// A Job of run `r` that stands so.
pub fn job(shard: u32, state: State) -> ShardJob {
    let repository = validated("{}", 2).place.repository(&SystemName::new("mail", "demo"), shard);
    let work = Work::Maintain(MaintainWork { repository, forget: [].into(), read: false });
    ShardJob { name: format!("r-{shard}"), run: "r".to_owned(), shard, work, state }
}
