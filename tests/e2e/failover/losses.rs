//! A store's volume is lost for good: the other has everything, and gives it to an empty one.

use super::{
    pair::{self, pod},
    story::{Cast, Lost, delivered, served_again},
};
use crate::imap;

#[test]
fn when_the_primarys_volume_is_lost_the_other_serves_and_an_empty_one_is_seeded() {
    pair::run(async |pair| {
        let what = "primary's volume lost";
        let cast = Cast::new(pair).await;
        let old = delivered(&pair.world, &cast.accounts[0]).await;
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                let uid = pair.look_up(&pod(roles.primary)).await.unwrap().uid;
                // An empty volume never serves, however soon it is there.
                let (lost, (server, epoch)) =
                    tokio::join!(pair.lose_volume(roles.primary), served_again(pair, what, roles));
                let () = lost;
                assert_eq!(server, roles.replica());
                pair.replaced(&pod(roles.primary), &uid).await;
                epoch - 1
            })
            .await;
        assert_eq!(change.after.primary, change.before.replica());
        // The seeded one has what was there before it, and can give it back.
        pair.switch_over(change.after).await;
        imap::wait_for(&pair.world, &cast.accounts[0], &old).await;
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_replicas_volume_is_lost_the_primary_goes_on_and_seeds_another() {
    pair::run(async |pair| {
        let what = "replica's volume lost";
        let cast = Cast::new(pair).await;
        let old = delivered(&pair.world, &cast.accounts[0]).await;
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                let uid = pair.look_up(&pod(roles.replica())).await.unwrap().uid;
                pair.lose_volume(roles.replica()).await;
                pair.replaced(&pod(roles.replica()), &uid).await;
                roles.epoch - 1
            })
            .await;
        assert_eq!(change.after, change.before, "the primary went on in its epoch");
        pair.switch_over(change.after).await;
        imap::wait_for(&pair.world, &cast.accounts[0], &old).await;
    });
}
