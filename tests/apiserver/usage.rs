//! What status says of the use of mailboxes: agents of this process tell it, in pages.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::get};
use mail_operator::{
    api::{MailboxStatus, MailboxUsage, system::ReviewSummary},
    conditions,
};
use serde_json::{Value, json};

use crate::{
    agent, harness,
    harness::TestApi,
    mailbox::{mailboxes, put, reason, served},
    operator::{Running, eventually, systems},
};

/// 2026-01-01T00:00:00Z.
const TIME: u32 = 1_767_225_600;

/// What the store and the gateway have to tell.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<(Vec<Value>, Vec<Value>)>>);

impl Told {
    fn routes(&self) -> Router {
        let (store, gateway) = (self.clone(), self.clone());
        let page = |more: Value| {
            let mut page = json!({"epoch": "e", "next": 1, "more": false, "began": TIME});
            page.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            Json(page)
        };
        let usage = async move || page(json!({"mailboxes": store.0.lock().unwrap().0}));
        let logins = async move || page(json!({"logins": gateway.0.lock().unwrap().1}));
        Router::new().route("/usage", get(usage)).route("/logins", get(logins))
    }

    fn say(&self, mailboxes: Vec<Value>, logins: Vec<Value>) {
        *self.0.lock().unwrap() = (mailboxes, logins);
    }
}

async fn status(api: &TestApi, name: &str) -> MailboxStatus {
    mailboxes(api).get(name).await.unwrap().status.unwrap_or_default()
}

async fn usage(api: &TestApi, name: &str, known: impl Fn(&MailboxUsage) -> bool) -> MailboxUsage {
    let told = async || status(api, name).await.usage.unwrap_or_default();
    eventually(told, known).await
}

fn held(name: &str, owner: &str, used: u32) -> Value {
    json!({"address": format!("{name}@x.vn"), "owner": owner, "used": used, "messages": 3, "unseen": 2,
           "oldestUnseen": TIME, "lastReceived": TIME + 1})
}

fn login(name: &str, owner: &str) -> Value {
    json!({"address": format!("{name}@x.vn"), "owner": owner, "IMAP": TIME + 2, "sent": TIME + 3})
}

async fn uid(api: &TestApi, name: &str) -> String {
    mailboxes(api).get(name).await.unwrap().metadata.uid.unwrap()
}

#[tokio::test]
async fn status_says_how_a_mailbox_is_used_and_what_is_to_be_looked_at() {
    let api = harness::api("usage").await;
    let (operator, told) = (Running::start(&api, "one").await, Told::default());
    served(&api).await;
    agent::start_telling(&api, "127.9.41.1", told.routes()).await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "quota": "1Mi"})).await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn", "reviewBy": "2026-01-31"})).await;
    reason(&api, "an", "Served").await;
    reason(&api, "binh", "Served").await;
    let (an, binh) = (uid(&api, "an").await, uid(&api, "binh").await);

    // What is told of another owner is another mailbox's.
    told.say(vec![held("an", &an, 2048), held("binh", "another", 7)], vec![login("an", &an)]);
    let first = usage(&api, "an", |usage| usage.messages.is_some() && usage.last_login.is_some()).await;
    assert_eq!((first.used.as_deref(), first.messages, first.unseen), (Some("2Ki"), Some(3), Some(2)));
    let second = |time: &Option<_>| {
        let time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time = time.as_ref().unwrap();
        time.0.as_second() - i64::from(TIME)
    };
    let times = [&first.oldest_unseen, &first.last_received, &first.last_login, &first.last_sent];
    assert_eq!(times.map(second), [0, 1, 2, 3]);
    assert_eq!((&first.last_logins.imap, &first.last_logins.pop3), (&first.last_login, &None));
    assert_eq!(status(&api, "binh").await.usage, None, "what is not known is absent");

    // Nine tenths of the quota are told at once, though figures are not.
    told.say(vec![held("an", &an, 1_000_000), held("binh", &binh, 7)], vec![login("an", &an)]);
    let full = async || conditions::get(&status(&api, "an").await.conditions, "QuotaLeft").cloned();
    let full = eventually(full, Option::is_some).await.unwrap();
    assert_eq!((full.status.as_str(), full.reason.as_str()), ("False", "NearlyFull"));
    assert_eq!(
        usage(&api, "an", |usage| usage.used.as_deref() != Some("2Ki")).await.used.as_deref(),
        Some("977Ki")
    );
    let due = async || conditions::get(&status(&api, "binh").await.conditions, "ReviewDue").cloned();
    let due = eventually(due, Option::is_some).await.unwrap();
    assert!(due.status == "True" && due.message.contains("kubectl delete mailbox binh"), "{due:?}");
    usage(&api, "binh", |usage| usage.messages == Some(3)).await;

    let expected = ReviewSummary {
        total: 2,
        active: 2,
        review_due: 1,
        unattended: Some(0),
        never_used: Some(0),
        nearly_full: Some(1),
        ..ReviewSummary::default()
    };
    let review = async || systems(&api).get("demo").await.unwrap().status.unwrap_or_default().review;
    eventually(review, |review| *review == Some(expected)).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_operator_writes_nothing_of_what_status_says_already() {
    let api = harness::api("usage").await;
    let (operator, told) = (Running::start(&api, "one").await, Told::default());
    served(&api).await;
    agent::start_telling(&api, "127.9.42.1", told.routes()).await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    reason(&api, "an", "Served").await;
    reason(&api, "binh", "Served").await;
    let (an, binh) = (uid(&api, "an").await, uid(&api, "binh").await);
    told.say(vec![held("an", &an, 2048)], vec![login("an", &an)]);
    usage(&api, "an", |usage| usage.messages.is_some() && usage.last_login.is_some()).await;
    operator.stop().await;

    let operator = Running::start(&api, "two").await;
    told.say(
        vec![held("an", &an, 4096), held("binh", &binh, 4096)],
        vec![login("an", &an), login("binh", &binh)],
    );
    usage(&api, "binh", |usage| usage.messages.is_some() && usage.last_login.is_some()).await;
    let metrics = operator.metrics().await;
    let writes = metrics.lines().find(|line| line.starts_with("mail_directory_writes_total{kind=\"usage\""));
    let writes: u32 = writes.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap();
    assert!((1..=2).contains(&writes), "of binh alone: {metrics}");
    assert_eq!(status(&api, "an").await.usage.unwrap().used.as_deref(), Some("2Ki"), "it waits for its turn");
    operator.stop().await;
}
