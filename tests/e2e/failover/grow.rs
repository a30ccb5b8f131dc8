//! From one store to two, and not back.

use kube::api::{Patch, PatchParams};
use mail_operator::api::MailSystem;
use serde_json::json;

use super::{
    pair::{self, Pair},
    story::{Cast, Lost, delivered},
};
use crate::imap;

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

        // The way back is closed: the one that would go serves.
        let refusal = set_replicas(pair, 1).await.unwrap_err();
        assert!(refusal.contains("cannot shrink"), "{refusal}");
        assert_eq!(pair.settled().await, change.after);
        all_there().await;
    });
}
