//! From one store to two, and back.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{LogParams, Patch, PatchParams};
use mail_operator::api::MailSystem;
use serde_json::json;

use super::{
    SETTLED,
    pair::{self, Pair, pod},
    story::{Cast, Lost, delivered},
};
use crate::{imap, world::eventually};

/// What the API server says to so many stores.
async fn set_replicas(pair: &Pair, replicas: u32) -> Result<(), String> {
    let patch = Patch::Merge(json!({"spec": {"store": {"replicas": replicas}}}));
    let changed = pair.world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await;
    changed.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_store_with_mail_gets_another_that_is_seeded_and_can_take_its_place() {
    pair::run_with(1, async |pair| {
        let cast = Cast::new(pair).await;
        let mut subjects = Vec::new();
        for account in &cast.accounts {
            subjects.push(delivered(&pair.world, account).await);
        }
        set_replicas(pair, 2).await.unwrap();
        let roles = pair.settled().await;
        assert_eq!(roles.primary, 0, "the store that has the mail serves first");
        let all_there = async || {
            for (account, subject) in cast.accounts.iter().zip(&subjects) {
                imap::wait_for(&pair.world, account, subject).await;
                let found = imap::messages(&pair.world, account, subject).await.unwrap();
                assert_eq!(found.len(), 1, "{subject}");
            }
        };
        all_there().await;
        let change = cast
            .under_load(
                (pair, "first switchover of a store that got another", Lost::Nothing),
                async |roles| pair.switch_over(roles).await.epoch - 1,
            )
            .await;
        assert_eq!(change.after.primary, 1);
        all_there().await;

        match set_replicas(pair, 1).await {
            Err(refusal) => {
                assert!(refusal.contains("replicas"), "{refusal}");
                assert_eq!(pair.settled().await, change.after);
            }
            Ok(()) => shrink(pair, &cast, &subjects).await,
        }
        all_there().await;
    });
}

/// The store that is left either has everything, because the other handed over before it ended, or says why it does not
/// serve. With two again, all is well in both cases.
async fn shrink(pair: &Pair, cast: &Cast, subjects: &[String]) {
    eventually(SETTLED, "the store that is left serves everything, or says why not", async || {
        let pods = pair.world.api::<Pod>();
        if pods.get_opt(&pod(1)).await.map_err(|error| error.to_string())?.is_some() {
            return Err("the other store is still there".to_owned());
        }
        let params = LogParams { container: Some("cyrus".into()), ..LogParams::default() };
        let log = pods.logs(&pod(0), &params).await.map_err(|error| error.to_string())?;
        if log.contains("set spec.store.replicas to 2 again") {
            return Ok(());
        }
        for (account, subject) in cast.accounts.iter().zip(subjects) {
            let found = imap::messages(&pair.world, account, subject).await.map_err(|e| e.to_string())?;
            if found.len() != 1 {
                return Err(format!("{subject} is there {} times", found.len()));
            }
        }
        Ok(())
    })
    .await;
    set_replicas(pair, 2).await.unwrap();
    let roles = pair.settled().await;
    let roles = if roles.primary == 0 { roles } else { pair.switch_over(roles).await };
    assert_eq!(roles.primary, 0);
    set_replicas(pair, 1).await.unwrap();
    pair.world.settled(SETTLED).await;
    let kept = delivered(&pair.world, &cast.accounts[0]).await;

    // What came while it was alone is on both again.
    set_replicas(pair, 2).await.unwrap();
    let roles = pair.settled().await;
    assert_eq!(roles.primary, 0, "the store that served last");
    pair.switch_over(roles).await;
    imap::wait_for(&pair.world, &cast.accounts[0], &kept).await;
}
