//! Callers that wait for a primary, and what is said of the stores.

use serde_json::json;
use tokio::time::timeout;

use super::{
    testing::{end, pair, tell, waited_for},
    *,
};

/// For what must come.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn all_who_wait_are_woken_by_a_new_primary() {
    let stores = pair(Times::USUAL);
    tell(&stores, (0, 0), (4, false), [127, 0, 0, 1]);
    let until = Instant::now() + PATIENCE;
    let waiting = join_all((0..50).map(|port| stores.locate(0, port, until)));
    let (found, ()) = tokio::join!(waiting, async {
        waited_for(&stores, 0).await;
        tell(&stores, (0, 1), (5, true), [127, 0, 0, 2]);
    });
    for (found, port) in found.into_iter().zip(0_u16..) {
        assert_eq!(found.unwrap(), ([127, 0, 0, 2], port).into());
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_it_wants_nor_in_an_outage() {
    let stores = pair(Times::USUAL);
    let (start, wait) = (Instant::now(), Duration::from_millis(50));
    let found = stores.locate(0, 1, start + wait).await;
    assert!(matches!(found, Err(Lost::NoPrimary)) && start.elapsed() >= wait);
    assert!(matches!(stores.locate(1, 1, start + PATIENCE).await, Err(Lost::Unknown)));

    let stores = pair(Times { outage: Duration::ZERO, ..Times::USUAL });
    let in_vain = timeout(PATIENCE / 2, stores.locate(0, 1, Instant::now() + PATIENCE)).await;
    assert!(matches!(in_vain, Ok(Err(Lost::NoPrimary))));
    // A primary that is there needs no waiting.
    tell(&stores, (0, 0), (4, true), [127, 0, 0, 1]);
    assert!(stores.locate(0, 1, start).await.is_ok());
}

#[tokio::test]
async fn a_shard_with_one_store_is_not_probed() {
    let stores = Stores::new("127.0.{shard}.1{pod}");
    let found = stores.locate(3, 2003, Instant::now()).await.unwrap();
    assert_eq!(found, ([127, 0, 3, 10], 2003).into());
    assert!(stores.probing().is_none() && stores.probed().is_none());
}

#[test]
fn status_and_metrics_say_who_is_routed_to() {
    let stores = pair(Times::USUAL);
    tell(&stores, (0, 0), (4, true), [127, 0, 0, 1]);
    tell(&stores, (0, 1), (5, true), [127, 0, 0, 2]);
    end(&stores, (0, 0));
    let mut told = serde_json::to_value(stores.probed().unwrap()).unwrap();
    for store in told.as_array_mut().unwrap() {
        assert!(store.as_object_mut().unwrap().remove("ageMillis").unwrap().is_u64());
    }
    let wanted = json!([
        { "shard": 0, "pod": 0, "epoch": 4, "serving": false },
        { "shard": 0, "pod": 1, "epoch": 5, "serving": true },
    ]);
    assert_eq!(told, wanted);

    let mut registry = crate::metrics::registry();
    stores.register(&mut registry);
    let text = crate::metrics::encode(&registry).unwrap();
    for line in [
        r#"mail_router_store_primary{shard="0",pod="0"} 0"#,
        r#"mail_router_store_primary{shard="0",pod="1"} 1"#,
        r#"mail_router_store_epoch{shard="0",pod="1"} 5"#,
        r#"mail_router_store_probes_failed_total{shard="0",pod="0"} 1"#,
        r#"mail_router_store_probes_failed_total{shard="0",pod="1"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
