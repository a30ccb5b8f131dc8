//! A MailBackup and its repository, as tests use them.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::{ListParams, Patch, PatchParams};
use mail_operator::api::{
    MailBackup, MailBackupStatus, MailRestore, MailRestoreStatus, MailSnapshot,
    backup::{Activity, PastRun},
    restore::RestorePhase,
};
use serde_json::{Value, json};

use super::LONG;
use crate::{
    s3,
    world::{World, eventually, parse, unique},
};

const PASSWORD: &str = "mật khẩu của bản sao lưu";

/// A MailBackup with a repository that nobody else uses.
pub(super) struct Vault {
    pub(super) world: World,
    pub(super) name: String,
}

impl Vault {
    /// One of the whole system, which runs when it is told to. `more` is merged into its spec.
    pub(super) async fn new(world: &World, more: Value) -> Self {
        let vault = Self { world: world.clone(), name: unique("backup") };
        vault.password(PASSWORD).await;
        vault.apply(more).await;
        vault
    }

    pub(super) async fn password(&self, password: &str) {
        let secret = json!({"metadata": {"name": self.name}, "stringData": {"password": password}});
        self.world.apply(parse::<Secret>(secret)).await;
    }

    pub(super) async fn right_password(&self) {
        self.password(PASSWORD).await;
    }

    pub(super) async fn apply(&self, more: Value) {
        let mut spec = json!({
            "system": {"name": "mail"},
            "repository": {"objectStorage": s3::bucket(&self.world.namespace, "backup", &self.name)},
            "encryptionSecret": self.name,
            // The 29th of February is far away.
            "schedule": "0 3 29 2 *",
            "timeZone": "Asia/Ho_Chi_Minh",
        });
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.world.apply(parse::<MailBackup>(json!({"metadata": {"name": self.name}, "spec": spec}))).await;
    }

    pub(super) async fn status(&self) -> MailBackupStatus {
        self.world.api::<MailBackup>().get(&self.name).await.unwrap().status.unwrap_or_default()
    }

    /// Orders a run and waits until a backup has ended that was none before.
    pub(super) async fn run(&self) -> PastRun {
        let before = self.status().await.history;
        self.order().await;
        self.next(Activity::Backup, &before).await
    }

    pub(super) async fn order(&self) {
        let order = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/run-now": unique("now")}}});
        let (api, params) = (self.world.api::<MailBackup>(), PatchParams::default());
        api.patch(&self.name, &params, &Patch::Merge(order)).await.unwrap();
    }

    /// The first of a kind that ended after those.
    pub(super) async fn next(&self, activity: Activity, before: &[PastRun]) -> PastRun {
        eventually(LONG, &format!("{activity:?} of {} has ended", self.name), async || {
            let status = self.status().await;
            let new = status.history.iter().rev();
            let mut new = new.filter(|it| it.activity == activity && !before.contains(it));
            new.next().cloned().ok_or_else(|| format!("{:?} {:?}", status.running, status.conditions))
        })
        .await
    }

    /// Orders a run that has to succeed, and waits until it is proven.
    pub(super) async fn proven(&self) -> String {
        let before = self.status().await.history;
        let run = self.run().await;
        assert_eq!(run.reason, "Succeeded", "{run:?}");
        let proof = self.next(Activity::Verify, &before).await;
        assert_eq!(proof.reason, "Succeeded", "{proof:?}");
        eventually(LONG, "the MailSnapshot is verified", async || {
            let snapshot = self.world.api::<MailSnapshot>().get(&run.run).await.map_err(|e| e.to_string())?;
            snapshot.status.and_then(|status| status.verified).ok_or("it is not".to_owned()).map(drop)
        })
        .await;
        run.run
    }

    /// The condition's reason once it has this status.
    pub(super) async fn condition(&self, type_: &str, status: &str) -> String {
        self.world.condition::<MailBackup>(&self.name, type_, status, LONG).await
    }

    pub(super) async fn snapshots(&self) -> Vec<MailSnapshot> {
        let all = self.world.api::<MailSnapshot>().list(&ListParams::default()).await.unwrap().items;
        all.into_iter().filter(|it| it.spec.backup == self.name).collect()
    }

    /// Stock restic on the repository of a shard.
    pub(super) async fn restic(&self, shard: u32, arguments: &[&str]) -> Output {
        let service = self.world.api::<Service>().get("s3").await.unwrap().spec.unwrap().cluster_ip.unwrap();
        Command::new(program())
            .args(arguments)
            .env("RESTIC_REPOSITORY", format!("s3:http://{service}:9000/backup/{}/{shard}", self.name))
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("RESTIC_CACHE_DIR", std::env::temp_dir().join("mail-operator-e2e-restic"))
            .env("AWS_ACCESS_KEY_ID", s3::ID)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .output()
            .unwrap()
    }
}

/// The restic of the images' Debian release.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
        let output = Command::new(script).arg("restic").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "restic is not there");
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().into()
    })
}

/// Carries out a restore; `spec` without its system.
pub(super) async fn restore(world: &World, mut spec: Value) -> MailRestoreStatus {
    let name = unique("restore");
    spec["system"] = json!({"name": "mail"});
    world.apply(parse::<MailRestore>(json!({"metadata": {"name": name}, "spec": spec}))).await;
    eventually(LONG, &format!("the restore {name} has ended"), async || {
        let object = world.api::<MailRestore>().get(&name).await.map_err(|e| e.to_string())?;
        let status = object.status.unwrap_or_default();
        match status.phase {
            RestorePhase::Succeeded | RestorePhase::Failed => Ok(status),
            RestorePhase::Pending | RestorePhase::Running => Err(format!("{status:?}")),
        }
    })
    .await
}

/// The reason of `Complete`.
pub(super) fn reason(status: &MailRestoreStatus) -> &str {
    let complete = status.conditions.iter().find(|it| it.type_ == "Complete");
    complete.map_or("", |it| it.reason.as_str())
}
