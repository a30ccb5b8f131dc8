//! What a store says of its mail while it is not sure.

use super::*;
use crate::{
    agent::{directory::Offer, store::testing::directory},
    directory::{Retired, Shard},
};

fn retired(uid: &str) -> (String, Retired) {
    let record = Retired {
        address: format!("{uid}@x.vn"),
        store: 0,
        quota: 1 << 30,
        namespace: "n".into(),
        name: uid.into(),
        since: 0,
        until: 90,
        in_place: false,
        confirmed: false,
        purge: false,
    };
    (uid.into(), record)
}

#[tokio::test]
async fn mail_that_cyrus_denies_under_its_old_address_is_unknown_and_not_gone_until_all_was_read_again() {
    let replica = directory();
    let records = ["an", "gone"].map(retired).into();
    assert_eq!(replica.offer_shard(1, 0, 2, Shard { retired: records, ..Shard::default() }), Offer::Taken);
    let provisioner = Provisioner::that_found(replica, &["an@x.vn"]);
    provisioner.0.surveyed.send_replace(true);
    let said = || provisioner.status()["retired"].clone();
    assert_eq!(said(), json!({"an": "moving", "gone": "absent"}));

    // A delivery meets the rename that takes the mail out of the way.
    provisioner.forget("an@x.vn");
    provisioner.0.state().inventory_mut().rename("an@x.vn", "an@retired.invalid");
    assert_eq!(said(), json!({}), "neither is said to be gone");
    timeout(Duration::from_secs(1), provisioner.0.stale.notified()).await.expect("nobody looks again");

    // What was asked before there was doubt does not dispel it.
    let found = || {
        let mut found = inventory::Inventory::default();
        let have = inventory::Have { owner: Some("an".into()), ..Default::default() };
        found.insert("an@retired.invalid", have);
        found
    };
    provisioner.0.state().surveyed(found(), 0);
    assert_eq!(said(), json!({"an": "moving"}));
    provisioner.0.state().surveyed(found(), 1);
    assert_eq!(said(), json!({"an": "moving", "gone": "absent"}));
}
