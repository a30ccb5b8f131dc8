//! What cannot be a backup is told to be none, with the reason.

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use serde_json::json;

use super::vault::Vault;
use crate::{s3, world::run};

#[test]
fn another_password_opens_nothing_and_makes_nothing_anew() {
    run(async |world| {
        world.mailbox(json!({})).await;
        let vault = Vault::new(world, json!({"verify": {"mode": "None"}})).await;
        assert_eq!(vault.run().await.reason, "Succeeded");
        vault.password("một mật khẩu khác").await;
        let refused = vault.run().await;
        assert_eq!(refused.reason, "WrongPassword", "{refused:?}");
        assert_eq!(vault.condition("Succeeded", "False").await, "WrongPassword");
        let listed = vault.restic(0, &["snapshots", "--json"]).await;
        assert!(listed.status.success(), "the repository is as it was: {listed:?}");
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        let told = events.iter().any(|event| {
            event.reason.as_deref() == Some("WrongPassword")
                && event.involved_object.name.as_deref() == Some(vault.name.as_str())
        });
        assert!(told, "an Event says so");
        vault.right_password().await;
        assert_eq!(vault.run().await.reason, "Succeeded");
        vault.condition("Succeeded", "True").await;
    });
}

#[test]
fn a_bucket_that_is_not_there_is_not_made() {
    run(async |world| {
        world.mailbox(json!({})).await;
        let storage = s3::bucket(&world.namespace, "nowhere", "x");
        let more = json!({"repository": {"objectStorage": storage}, "verify": {"mode": "None"}});
        let vault = Vault::new(world, more).await;
        let run = vault.run().await;
        assert_eq!(run.reason, "BucketMissing", "{run:?}");
        assert_eq!(vault.condition("Succeeded", "False").await, "BucketMissing");
    });
}

#[test]
fn a_selector_that_matches_nothing_is_no_backup() {
    run(async |world| {
        let more = json!({"mailboxes": {"addresses": ["khong-ai@angiang.gov.vn"]}});
        let vault = Vault::new(world, more).await;
        assert_eq!(vault.condition("Ready", "False").await, "SelectorMatchesNothing");
    });
}
