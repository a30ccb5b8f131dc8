//! `DeliveryAccounted`: what gateways say of accepted mail is in the status, and in an Event when it is bad.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::get};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    agent, harness,
    operator::{Running, apply, condition, eventually, storage_class, systems},
};

const IP: &str = "127.9.31.1";

/// A gateway's agent that says what it is told to say.
async fn gateway() -> Arc<Mutex<Value>> {
    let says = Arc::new(Mutex::new(Value::Null));
    let said = Arc::clone(&says);
    let status = get(async move || {
        let audit = said.lock().unwrap().clone();
        Json(json!({"directory": {}, "journal": {"written": true}, "audit": audit}))
    });
    let address = (IP.parse::<IpAddr>().unwrap(), mail_operator::names::ports::HTTP);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async { axum::serve(listener, Router::new().route("/status", status)).await });
    says
}

#[tokio::test]
async fn what_is_unaccounted_for_is_in_the_status_and_nothing_is_said_of_what_is_not_known() {
    let api = harness::api("audit").await;
    storage_class(&api.client, "standard", true).await;
    let says = gateway().await;
    let checked = || json!(jiff::Timestamp::now().as_millisecond());
    *says.lock().unwrap() = json!({"checked": checked(), "forgotten": false});
    let secrets: Api<Secret> = Api::namespaced(api.client.clone(), &api.namespace);
    let credentials =
        json!({"metadata": {"name": "s3"}, "stringData": {"accessKeyId": "a", "secretAccessKey": "b"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(credentials).unwrap()).await.unwrap();
    agent::pod(&api, "demo-gateway-0", &json!({"app.kubernetes.io/component": "gateway"}), IP).await;
    let operator = Running::start(&api, "one").await;
    let storage = json!({"endpoint": "http://s3.x.vn:9000", "bucket": "mail", "credentialsSecret": "s3"});
    apply(&api, json!({"hostname": "mail.x.vn", "journal": {"objectStorage": storage}})).await;
    let (accounted, _) = condition(&api, "DeliveryAccounted", "Accounted").await;
    assert_eq!(accounted.status, "True");
    let status = async || systems(&api).get("demo").await.unwrap().status.unwrap();
    assert_eq!((status().await.unaccounted, status().await.oldest_unaccounted), (Some(0), None));

    *says.lock().unwrap() = json!({
        "checked": checked(), "forgotten": false, "unaccounted": 2, "oldest_unaccounted": 1_764_036_000_000_u64,
    });
    let (accounted, _) = condition(&api, "DeliveryAccounted", "Unaccounted").await;
    assert_eq!(accounted.status, "False");
    assert!(accounted.message.contains("demo-gateway-0"), "{}", accounted.message);
    let told = status().await;
    assert_eq!(told.unaccounted, Some(2));
    assert_eq!(told.oldest_unaccounted.unwrap().0.as_second(), 1_764_036_000);
    let (ready, _) = condition(&api, "Ready", "Unaccounted").await;
    assert_eq!(ready.status, "False");
    let events: Api<Event> = Api::namespaced(api.client.clone(), &api.namespace);
    let told = async || events.list(&ListParams::default()).await.unwrap().items;
    eventually(told, |events| events.iter().any(|event| event.reason.as_deref() == Some("Unaccounted")))
        .await;

    *says.lock().unwrap() = Value::Null;
    let (accounted, _) = condition(&api, "DeliveryAccounted", "NotObserved").await;
    assert_eq!(accounted.status, "Unknown");
    assert_eq!(status().await.unaccounted, None, "what is not known is not a figure");
    operator.stop().await;
}
