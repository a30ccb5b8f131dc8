//! Parts are taken away: mail waits, it neither passes unscanned nor is lost.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use mail_operator::api::MailSystem;
use serde_json::json;

use crate::{
    imap,
    smtp::{Reply, Smtp, message},
    world::{Account, World, eventually, run_alone, unique},
};

const LONG: Duration = Duration::from_mins(4);

async fn send(world: &World, to: &Account, subject: &str) -> Result<Reply, String> {
    let text = message("dan@example.com", &to.address, subject, "x");
    let mut smtp = Smtp::inbound(world).await.map_err(|e| e.to_string())?;
    smtp.send("dan@example.com", &[&to.address], &text).await.map_err(|e| e.to_string())
}

async fn accepted(world: &World, to: &Account, subject: &str) {
    eventually(LONG, "mail is accepted", async || {
        let reply = send(world, to, subject).await?;
        if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
}

/// Stops a Deployment of the system while the operator looks away, and starts it again.
async fn without<T>(world: &World, deployment: &str, test: impl AsyncFnOnce() -> T) -> T {
    let merge = async |patch: serde_json::Value| {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        world.api::<MailSystem>().patch("mail", &params, &patch).await.unwrap();
    };
    merge(json!({"spec": {"paused": true}})).await;
    eventually(LONG, "the operator looks away", async || {
        let reason = world.condition::<MailSystem>("mail", "Ready", "True", LONG).await;
        if reason == "Paused" { Ok(()) } else { Err(reason) }
    })
    .await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 0}}));
    world.api::<Deployment>().patch(deployment, &PatchParams::default(), &scale).await.unwrap();
    eventually(LONG, "no pod is left", async || {
        let selector = format!("app.kubernetes.io/component={}", deployment.trim_start_matches("mail-"));
        let pods = world
            .api::<Pod>()
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(|e| e.to_string())?;
        if pods.items.is_empty() { Ok(()) } else { Err(format!("{} pods", pods.items.len())) }
    })
    .await;
    let component = deployment.trim_start_matches("mail-");
    let type_ = format!("{}{}Available", component[..1].to_uppercase(), &component[1..]);
    world.condition::<MailSystem>("mail", &type_, "False", LONG).await;
    let result = test().await;
    merge(json!({"spec": {"paused": null}})).await;
    world.ready::<MailSystem>("mail", LONG).await;
    result
}

#[test]
fn without_antivirus_mail_waits_and_then_passes() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("unscanned");
        let reply =
            without(world, "mail-antivirus", async || send(world, &an, &subject).await).await.unwrap();
        assert_eq!(reply.code, 451, "{reply:?}");
        accepted(world, &an, &subject).await;
        imap::wait_for(world, &an, &subject).await;
    });
}

#[test]
fn without_antispam_mail_waits_and_then_passes() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("unjudged");
        // Without TLS, since Postfix answers STARTTLS with 454 already while a milter is away.
        let reply = without(world, "mail-antispam", async || {
            let mut smtp = Smtp::plain(world.address(25)).await?;
            smtp.send("dan@example.com", &[&an.address], "Subject: x\n\nx").await
        });
        let reply = reply.await.unwrap();
        assert_eq!(reply.code, 451, "{reply:?}");
        accepted(world, &an, &subject).await;
        imap::wait_for(world, &an, &subject).await;
    });
}

#[test]
fn without_a_store_mail_is_accepted_and_delivered_when_it_is_back() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let shard = world
            .api::<mail_operator::api::Mailbox>()
            .get(&an.name)
            .await
            .unwrap()
            .status
            .unwrap()
            .shard
            .unwrap();
        let pod = format!("mail-store-{shard}-0");
        let now = DeleteParams::default().grace_period(0);
        world.api::<Pod>().delete(&pod, &now).await.unwrap();
        let subject = unique("queued");
        accepted(world, &an, &subject).await;
        imap::wait_for(world, &an, &subject).await;
        world.ready::<MailSystem>("mail", LONG).await;
    });
}

#[test]
fn losing_a_gateway_pod_stops_neither_smtp_nor_imap() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        world.api::<Pod>().delete("mail-gateway-0", &DeleteParams::default().grace_period(0)).await.unwrap();
        let subject = unique("other");
        accepted(world, &an, &subject).await;
        imap::wait_for(world, &an, &subject).await;
        world.ready::<MailSystem>("mail", LONG).await;
    });
}

#[test]
fn deleting_a_mail_system_keeps_its_volumes() {
    run_alone(async |world| {
        let mut object = serde_json::to_value(world.api::<MailSystem>().get("mail").await.unwrap()).unwrap();
        object["metadata"] = json!({"name": "gone"});
        object["status"] = json!(null);
        object["spec"]["hostname"] = "gone.example.vn".into();
        object["spec"]["store"]["shards"] = 1.into();
        object["spec"]["gateway"]["replicas"] = 1.into();
        world.apply(serde_json::from_value::<MailSystem>(object).unwrap()).await;
        let claim = "data-gone-store-0-0";
        eventually(LONG, "the store's volume is bound", async || {
            let claim = world.api::<PersistentVolumeClaim>().get(claim).await.map_err(|e| e.to_string())?;
            let phase = claim.status.and_then(|s| s.phase).unwrap_or_default();
            if phase == "Bound" { Ok(()) } else { Err(phase) }
        })
        .await;
        world.api::<MailSystem>().delete("gone", &DeleteParams::default()).await.unwrap();
        eventually(LONG, "the store is gone", async || {
            match world.api::<StatefulSet>().get_opt("gone-store-0").await {
                Ok(None) => Ok(()),
                other => Err(format!("{:?}", other.map(|s| s.map(|s| s.metadata.name)))),
            }
        })
        .await;
        world.api::<PersistentVolumeClaim>().get(claim).await.unwrap();
    });
}
