//! Log-ins: who may, how often one may be wrong, and what is remembered.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use mail_operator::api::{AppPasswordState, Mailbox};
use serde_json::{Value, json};

use crate::{
    imap,
    smtp::Smtp,
    world::{Account, World, eventually, parse, run},
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
        for (key, value) in own.filter_map(|login| login.as_object().cloned()).flatten() {
            match (last.get_mut(&key).and_then(Value::as_object_mut), value.as_object()) {
                (Some(held), Some(more)) => held.extend(more.clone()),
                _ => drop(last.insert(key, value)),
            }
        }
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

async fn give(world: &World, account: &Account, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
    world.ready::<Mailbox>(&account.name, Duration::from_mins(2)).await;
}

/// The password that was generated into a Secret.
async fn generated(world: &World, secret: &str) -> String {
    let secret = world.api::<Secret>().get(secret).await.unwrap();
    String::from_utf8(secret.data.unwrap()["password"].0.clone()).unwrap()
}

/// Waits until the session's connection is closed.
async fn ends(mut session: imap::Owner) {
    let closed =
        eventually(Duration::from_secs(10), "the session ends", async || {
            match tokio::time::timeout(Duration::from_secs(2), session.noop()).await {
                Ok(Ok(())) => Err("it goes on".to_owned()),
                _ => Ok(()),
            }
        });
    closed.await;
}

#[test]
fn an_app_password_opens_the_mailbox_and_ends_with_its_sessions_when_it_is_taken_out() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let app = |name: &str| json!({"name": name, "secret": {"name": format!("{}-{name}", an.name)}});
        give(world, &an, json!({"appPasswords": [app("phone"), app("desk")]})).await;
        let object = world.api::<Mailbox>().get(&an.name).await.unwrap();
        let status = object.status.unwrap().app_passwords;
        assert!(status.iter().all(|app| app.state == AppPasswordState::InUse) && status.len() == 2);
        let phone = generated(world, &format!("{}-phone", an.name)).await;
        let desk = generated(world, &format!("{}-desk", an.name)).await;
        let mut sessions = Vec::new();
        for password in [&phone, &desk, &an.password] {
            let mut session = imap::log_in(world, &an.address, password).await.unwrap();
            session.select("INBOX").await.unwrap();
            sessions.push(session);
            Smtp::submissions(world, &an.address, password).await.unwrap();
        }
        let last = last_logins(world, &an.address).await.unwrap();
        assert!(last["apps"]["phone"].is_object() && last["apps"]["desk"].is_object(), "{last:?}");

        // The phone is lost.
        give(world, &an, json!({"appPasswords": [app("desk")]})).await;
        ends(sessions.remove(0)).await;
        assert!(imap::log_in(world, &an.address, &phone).await.is_err());
        assert!(Smtp::submissions(world, &an.address, &phone).await.is_err());
        for session in &mut sessions {
            session.noop().await.unwrap();
        }

        // The main password is changed.
        let change = json!({"metadata": {"name": format!("{}-credentials", an.name)}, "stringData": {"password": "another one"}});
        world.apply(parse::<Secret>(change)).await;
        ends(sessions.remove(1)).await;
        sessions[0].noop().await.unwrap();
        imap::log_in(world, &an.address, "another one").await.unwrap();
        assert!(imap::log_in(world, &an.address, &an.password).await.is_err());

        // Nothing is made again unasked: the last one that was known opens.
        let secret = format!("{}-desk", an.name);
        world.api::<Secret>().delete(&secret, &DeleteParams::default()).await.unwrap();
        let reason = world.condition::<Mailbox>(&an.name, "Ready", "False", Duration::from_mins(1)).await;
        assert_eq!(reason, "SecretNotFound");
        imap::log_in(world, &an.address, &desk).await.unwrap();
    });
}

#[test]
fn a_mailbox_is_used_in_the_ways_that_it_names() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
        session.select("INBOX").await.unwrap();
        give(world, &an, json!({"protocols": ["Submission"]})).await;
        ends(session).await;
        assert!(imap::log_in(world, &an.address, &an.password).await.is_err());
        Smtp::submissions(world, &an.address, &an.password).await.unwrap();
    });
}
