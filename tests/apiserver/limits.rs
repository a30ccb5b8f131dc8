//! Limits of a MailDomain, as its administrators meet them.

use k8s_openapi::api::core::v1::Event;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use mail_operator::{
    api::{MailDomain, MailDomainStatus},
    conditions,
};
use serde_json::json;

use crate::{
    agent,
    harness::{self, TestApi},
    mailbox::{mailboxes, put, reason, served},
    operator::{Running, eventually},
};

async fn limit(api: &TestApi, limits: serde_json::Value) {
    let spec = json!({"domain": "x.vn", "system": {"name": "demo"}, "dnsCheck": false, "limits": limits});
    put(api, "MailDomain", "x", spec).await;
}

/// Waits for this reason of `WithinLimits`, with so many mailboxes, so much quota and so many that wait: counts are written
/// every few seconds.
async fn told(api: &TestApi, reason: &str, mailboxes: u32, quota: &str, waiting: u32) {
    let domains: Api<MailDomain> = Api::namespaced(api.client.clone(), &api.namespace);
    let says = |status: &MailDomainStatus| {
        let condition = conditions::get(&status.conditions, "WithinLimits");
        let figures = (status.mailboxes, status.allocated_quota.as_deref(), status.waiting);
        condition.is_some_and(|it| it.reason == reason) && figures == (mailboxes, Some(quota), waiting)
    };
    eventually(async || domains.get("x").await.unwrap().status.unwrap_or_default(), says).await;
}

#[tokio::test]
async fn a_domain_takes_as_many_mailboxes_and_as_much_quota_as_it_may() {
    let api = harness::api("limits").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    limit(&api, json!({"mailboxes": 2, "totalQuota": "3Gi"})).await;
    let replica = agent::start(&api, "127.9.27.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "quota": "1Gi"})).await;
    reason(&api, "an", "Served").await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn", "quota": "1536Mi"})).await;
    reason(&api, "binh", "Served").await;
    told(&api, "WithinLimits", 2, "2560Mi", 0).await;

    // One too many is not served, and says why and what to do.
    put(&api, "Mailbox", "chi", json!({"address": "chi@x.vn", "quota": "256Mi"})).await;
    let message = reason(&api, "chi", "DomainLimitReached").await;
    for part in [&format!("MailDomain {}/x may have 2 mailboxes", api.namespace), "had 2", "Raise the limit"]
    {
        assert!(message.contains(part), "{message}");
    }
    assert!(replica.find("chi@x.vn").is_none());
    told(&api, "LimitReached", 2, "2560Mi", 1).await;
    let events: Api<Event> = Api::namespaced(api.client.clone(), &api.namespace);
    let told_of = |reason: &'static str| {
        let fields = ListParams::default().fields(&format!("reason={reason}"));
        let events = events.clone();
        async move { events.list(&fields).await.unwrap().items.len() }
    };
    eventually(async || told_of("DomainLimitReached").await, |count| *count > 0).await;
    eventually(async || told_of("LimitReached").await, |count| *count > 0).await;

    // More quota than is left is refused, and what was in force stays in force.
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "quota": "2Gi"})).await;
    let message = reason(&api, "an", "QuotaOverDomainTotal").await;
    for part in ["keeps its quota of 1Gi", "may have 3Gi together", "2560Mi were allocated"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(replica.find("an@x.vn").unwrap().entry.quota, 1 << 30);

    // A restart, with a limit lowered meanwhile, changes nothing for those who are there.
    operator.stop().await;
    limit(&api, json!({"mailboxes": 1, "totalQuota": "1Gi"})).await;
    let operator = Running::start(&api, "two").await;
    told(&api, "OverLimits", 2, "2560Mi", 2).await;
    assert_eq!(replica.find("an@x.vn").unwrap().entry.quota, 1 << 30);
    assert!(replica.find("binh@x.vn").is_some() && replica.find("chi@x.vn").is_none());

    // Room is used by itself.
    limit(&api, json!({"mailboxes": 2, "totalQuota": "4Gi"})).await;
    reason(&api, "an", "Served").await;
    assert_eq!(replica.find("an@x.vn").unwrap().entry.quota, 2 << 30);
    mailboxes(&api).delete("binh", &DeleteParams::default()).await.unwrap();
    reason(&api, "chi", "Served").await;
    told(&api, "WithinLimits", 2, "2304Mi", 0).await;
    operator.stop().await;
}
