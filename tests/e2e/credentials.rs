//! Log-ins: who may, how often one may be wrong, and what is remembered.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    imap,
    smtp::Smtp,
    world::{World, eventually, run},
};

/// What a path of every gateway's agent answers.
async fn ask_gateways(world: &World, path: &str) -> Result<Vec<Value>, String> {
    let gateways =
        ListParams::default().labels("app.kubernetes.io/component=gateway,app.kubernetes.io/instance=mail");
    let pods = world.api::<Pod>().list(&gateways).await.map_err(|e| e.to_string())?;
    let mut answers = Vec::new();
    for pod in pods {
        let name = pod.metadata.name.unwrap_or_default();
        let uri = format!("/api/v1/namespaces/{}/pods/{name}:9100/proxy{path}", world.namespace);
        let request = http::Request::get(uri).body(Vec::new()).map_err(|e| e.to_string())?;
        answers.push(world.client.request::<Value>(request).await.map_err(|e| e.to_string())?);
    }
    Ok(answers)
}

/// The last log-ins of a mailbox, by protocol, over all gateways.
async fn last_logins(world: &World, address: &str) -> Result<serde_json::Map<String, Value>, String> {
    let mut last = serde_json::Map::new();
    for page in ask_gateways(world, "/logins").await? {
        let logins = page["logins"].as_array().cloned().unwrap_or_default();
        let own = logins.into_iter().filter(|login| login["address"] == json!(address));
        last.extend(own.filter_map(|login| login.as_object().cloned()).flatten());
    }
    Ok(last)
}

#[test]
fn the_last_log_in_over_each_protocol_is_remembered() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        imap::log_in(world, &an.address, &an.password).await.unwrap();
        Smtp::submission(world, &an.address, &an.password).await.unwrap();
        let last = eventually(Duration::from_mins(1), "the log-ins at the agents", async || {
            let last = last_logins(world, &an.address).await?;
            let both = last.contains_key("IMAP") && last.contains_key("Submission");
            if both { Ok(last) } else { Err(format!("{last:?}")) }
        })
        .await;
        assert!(!last.contains_key("POP3"), "{last:?}");
    });
}

#[test]
fn whoever_guesses_is_told_to_wait_and_an_old_password_that_is_repeated_locks_nobody_out() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        // One connection, so that one gateway counts.
        let mut smtp = Smtp::submission(world, &an.address, &an.password).await.unwrap();
        drop(smtp.command("QUIT").await);
        let mut smtp = Smtp::submission_without_log_in(world).await.unwrap();
        for _ in 0..12 {
            assert_eq!(smtp.auth(&an.address, "an old password").await.unwrap().code, 535);
        }
        assert_eq!(smtp.auth(&an.address, &an.password).await.unwrap().code, 235);

        let binh = world.mailbox(json!({})).await;
        let mut smtp = Smtp::submission_without_log_in(world).await.unwrap();
        for n in 0..10 {
            assert_eq!(smtp.auth(&binh.address, &format!("guess {n}")).await.unwrap().code, 535);
        }
        let reply = smtp.auth(&binh.address, &binh.password).await.unwrap();
        assert_eq!(reply.code, 454, "{reply:?}");
    });
}
