use super::*;
use crate::operator::mailbox::index::ObjectName;

fn pod(beside: Beside, ready: bool) -> AgentPod {
    AgentPod { system: SystemName::new("n", "s"), beside, ip: Some("::1".into()), ready, replica: false }
}

fn key(name: &str) -> Key {
    ObjectName::new("n", name).into()
}

#[test]
fn an_issue_is_held_when_each_gateway_in_service_and_the_store_hold_it() {
    let (system, parts) = (SystemName::new("n", "s"), [("d".to_owned(), 5)]);
    let says = |number| Some(Answer { directory: [("d".to_owned(), number)].into(), ..Answer::default() });
    let mut agents = Agents::default();
    assert!(!agents.hold(&system, None, &parts), "no gateway answers");
    agents.see(&key("g0"), Some(pod(Beside::Gateway, true)));
    agents.see(&key("g1"), Some(pod(Beside::Gateway, false)));
    agents.see(&key("s1"), Some(pod(Beside::Store(1), true)));
    agents.see(&key("a"), Some(pod(Beside::Antispam, true)));
    agents.answered(vec![(key("g0"), says(5)), (key("s1"), says(4))]);
    assert!(agents.hold(&system, None, &parts));
    assert!(!agents.hold(&system, Some(0), &parts), "no store of that shard");
    assert!(!agents.hold(&system, Some(1), &parts), "the store is behind");
    agents.answered(vec![(key("s1"), says(6))]);
    assert!(agents.hold(&system, Some(1), &parts));
    agents.see(&key("g1"), Some(pod(Beside::Gateway, true)));
    assert!(!agents.hold(&system, Some(1), &parts), "a gateway came into service that has not said");
}

#[test]
fn a_domain_is_signed_for_when_each_rspamd_in_service_has_its_key() {
    let system = SystemName::new("n", "s");
    let says = |mark: &str| Some(Answer { dkim: [("x.vn".into(), mark.into())].into(), ..Answer::default() });
    let mut agents = Agents::default();
    agents.see(&key("g"), Some(pod(Beside::Gateway, true)));
    assert!(!agents.sign(&system, "x.vn", "a:1"), "no Rspamd");
    agents.see(&key("a0"), Some(pod(Beside::Antispam, true)));
    agents.see(&key("a1"), Some(pod(Beside::Antispam, false)));
    assert!(!agents.sign(&system, "x.vn", "a:1"), "it has not said");
    agents.answered(vec![(key("a0"), says("a:1"))]);
    assert!(agents.sign(&system, "x.vn", "a:1") && !agents.sign(&system, "y.vn", "a:1"));
    agents.see(&key("a1"), Some(pod(Beside::Antispam, true)));
    agents.answered(vec![(key("a1"), says("a:0"))]);
    assert!(!agents.sign(&system, "x.vn", "a:1"), "one has another key");
}

#[tokio::test]
async fn an_agent_that_is_away_holds_nothing() {
    let answers = ask(vec![(ObjectName::new("n", "g").into(), "127.0.0.1".into())]).await;
    assert!(answers.iter().all(|(_, answer)| answer.is_none()));
}

#[test]
fn what_a_store_says_of_its_mailboxes_is_read() {
    let text = r#"{"directory": {"d": 5}, "store": {"mailboxes": 2, "pending": 1,
        "failures": {"an@x.vn": {"reason": "OtherOwner", "message": "another owner's"}},
        "retired": {"u1": {"kib": 7}, "u2": "moving", "u3": "absent"}}}"#;
    let (system, mut agents) = (SystemName::new("n", "s"), Agents::default());
    agents.see(&key("s0"), Some(pod(Beside::Store(0), true)));
    agents.answered(vec![(key("s0"), Some(serde_json::from_str(text).unwrap()))]);
    for (uid, said) in [
        ("u1", Some(Keeping::Kib(7))),
        ("u2", Some(Keeping::Moving)),
        ("u3", Some(Keeping::Absent)),
        ("u4", None),
    ] {
        assert_eq!(agents.keeping(&system, 0, uid), said);
    }
    assert_eq!(agents.keeping(&system, 1, "u1"), None);
    assert_eq!(agents.failure(&system, 0, "an@x.vn").unwrap().reason, "OtherOwner");
    let unknown = r#"{"directory": {}, "store": {"retired": null}}"#;
    agents.answered(vec![(key("s0"), Some(serde_json::from_str(unknown).unwrap()))]);
    assert_eq!(agents.keeping(&system, 0, "u1"), None, "Cyrus was not looked at yet");
}

#[test]
fn of_two_stores_only_the_one_that_serves_is_believed_of_mail() {
    let system = SystemName::new("n", "s");
    let failing = |reason: &str| {
        let failure = StoreFailure { reason: reason.to_owned(), message: String::new() };
        let store =
            StoreAnswer { failures: [("an@x.vn".to_owned(), failure)].into(), ..StoreAnswer::default() };
        Some(Answer { store, ..Answer::default() })
    };
    let mut agents = Agents::default();
    for (name, replica) in [("s0", true), ("s1", false)] {
        agents.see(&key(name), Some(AgentPod { replica, ..pod(Beside::Store(0), true) }));
    }
    agents.answered(vec![(key("s0"), failing("Old")), (key("s1"), failing("New"))]);
    let reason = |agents: &Agents| agents.failure(&system, 0, "an@x.vn").map(|it| it.reason.clone());
    assert_eq!(reason(&agents).as_deref(), Some("New"));
    assert_eq!(agents.tellers().count(), 1);
    agents.see(&key("s1"), None);
    assert_eq!(reason(&agents), None);
}
