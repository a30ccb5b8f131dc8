//! Every state that two faults lead to.

use std::time::Duration;

use mail_operator_model::{Fault, Promise, Shard, check};

#[test]
fn with_two_faults_every_promise_is_kept_in_every_state() {
    let report = check(Shard::new(Fault::all(), 2, &Promise::ALL), Duration::from_hours(1));
    assert!(report.exhaustive && report.violated.is_empty(), "{report}");
    assert!(report.states > 1_000_000, "{report}: is anything still tried?");
}
