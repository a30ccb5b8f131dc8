//! A repository that is damaged is never told to be a backup.

use bytes::Bytes;
use futures::TryStreamExt;
use kube::api::{Patch, PatchParams};
use mail_operator::api::{MailBackup, backup::Activity};
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3, path::Path};
use serde_json::json;

use super::vault::Vault;
use crate::{
    imap, s3,
    smtp::{Smtp, message},
    world::{World, run, unique},
};

/// The largest packs of a shard's repository.
async fn packs(s3: &AmazonS3, vault: &Vault, shard: u32) -> Vec<Path> {
    let prefix = Path::from(format!("{}/{shard}/data", vault.name));
    let mut all: Vec<_> = s3.list(Some(&prefix)).try_collect().await.unwrap();
    all.sort_by_key(|object| std::cmp::Reverse(object.size));
    all.into_iter().map(|object| object.location).collect()
}

async fn flip(s3: &AmazonS3, path: &Path) {
    let mut content = s3.get(path).await.unwrap().bytes().await.unwrap().to_vec();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    s3.put(path, Bytes::from(content).into()).await.unwrap();
}

/// A run whose proof waits until it is wanted.
async fn stored(world: &World) -> (Vault, String) {
    let an = world.mailbox(json!({})).await;
    let subject = unique("hong");
    let text = message("dan@example.com", &an.address, &subject, "Kính gửi.");
    let mut smtp = Smtp::inbound(world).await.unwrap();
    assert_eq!(smtp.send("dan@example.com", &[&an.address], &text).await.unwrap().code, 250);
    imap::wait_for(world, &an, &subject).await;
    let vault = Vault::new(world, json!({"verify": {"mode": "None"}})).await;
    let run = vault.run().await;
    assert_eq!(run.reason, "Succeeded", "{run:?}");
    (vault, an.address)
}

async fn verified_next(vault: &Vault) -> mail_operator::api::backup::PastRun {
    let before = vault.status().await.history;
    // Each minute.
    let verify =
        json!({"spec": {"verify": {"mode": "Restore", "schedule": "* * * * *", "samplePercent": 100}}});
    let (api, params) = (vault.world.api::<MailBackup>(), PatchParams::default());
    api.patch(&vault.name, &params, &Patch::Merge(verify)).await.unwrap();
    let proof = vault.next(Activity::Verify, &before).await;
    // What it found stands until there is another.
    let later = json!({"spec": {"verify": {"schedule": "0 3 29 2 *"}}});
    api.patch(&vault.name, &params, &Patch::Merge(later)).await.unwrap();
    proof
}

#[test]
fn a_byte_that_flipped_in_a_pack_is_found_by_the_next_proof() {
    run(async |world| {
        let (vault, _) = stored(world).await;
        let s3 = s3::client_of(world, "backup").await;
        for shard in 0..2 {
            for pack in packs(&s3, &vault, shard).await {
                flip(&s3, &pack).await;
            }
        }
        let proof = verified_next(&vault).await;
        assert_eq!(proof.reason, "RepositoryDamaged", "{proof:?}");
        assert_eq!(vault.condition("Verified", "False").await, "RepositoryDamaged");
        let (api, params) = (world.api::<MailBackup>(), kube::api::DeleteParams::default());
        api.delete(&vault.name, &params).await.unwrap();
    });
}

#[test]
fn an_index_that_is_gone_is_no_success_of_the_next_run_either() {
    run(async |world| {
        let (vault, _) = stored(world).await;
        let s3 = s3::client_of(world, "backup").await;
        for shard in 0..2 {
            let prefix = Path::from(format!("{}/{shard}/index", vault.name));
            let all: Vec<_> = s3.list(Some(&prefix)).try_collect().await.unwrap();
            for object in all {
                s3.delete(&object.location).await.unwrap();
            }
        }
        let run = vault.run().await;
        assert_eq!(run.reason, "RepositoryDamaged", "{run:?}");
        assert_eq!(vault.condition("Succeeded", "False").await, "RepositoryDamaged");
        let (api, params) = (world.api::<MailBackup>(), kube::api::DeleteParams::default());
        api.delete(&vault.name, &params).await.unwrap();
    });
}

#[test]
fn snapshots_that_somebody_deleted_are_missed() {
    run(async |world| {
        let (vault, _) = stored(world).await;
        let lost = vault.snapshots().await.pop().unwrap();
        for part in &lost.spec.parts {
            let forgotten = vault.restic(part.shard, &["forget", &part.id]).await;
            assert!(forgotten.status.success(), "{forgotten:?}");
        }
        vault.run().await;
        assert_eq!(vault.condition("SnapshotsVanished", "True").await, "Vanished");
    });
}
