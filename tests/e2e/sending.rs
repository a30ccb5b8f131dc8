//! How much a mailbox may send, and what becomes of one that sends in bulk.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use mail_operator::api::Mailbox;
use serde_json::json;

use crate::{
    imap,
    smtp::{Reply, Smtp, message},
    world::{Account, World, eventually, run, unique},
};

const WAIT: Duration = Duration::from_mins(1);

/// A message in a session of its own, so that each gateway gets some of many. Its subject, and what DATA was answered.
async fn send(world: &World, from: &Account, to: &Account) -> (String, Reply) {
    let subject = unique("limits");
    let text = message(&from.address, &to.address, &subject, "x");
    let mut smtp = Smtp::submissions(world, &from.address, &from.password).await.unwrap();
    (subject, smtp.send(&from.address, &[&to.address], &text).await.unwrap())
}

/// A figure of all gateways together.
async fn figure(world: &World, line: &str) -> u64 {
    let gateways =
        ListParams::default().labels("app.kubernetes.io/component=gateway,app.kubernetes.io/instance=mail");
    let pods = world.api::<Pod>().list(&gateways).await.unwrap();
    let figures = futures::stream::iter(pods).then(|pod| async move {
        let name = pod.metadata.name.unwrap_or_default();
        let uri = format!("/api/v1/namespaces/{}/pods/{name}:9100/proxy/metrics", world.namespace);
        let request = http::Request::get(uri).body(Vec::new()).unwrap();
        let text = world.client.request_text(request).await.unwrap();
        let value = text.lines().find_map(|it| it.strip_prefix(line)?.trim().parse::<u64>().ok());
        value.unwrap_or_default()
    });
    figures.fold(0, |sum, figure| async move { sum + figure }).await
}

#[test]
fn a_mailbox_sends_up_to_its_limit_over_all_gateways_and_is_suspended_far_above_it() {
    run(async |world| {
        let an = world.mailbox(json!({"limits": {"messagesPerHour": 4, "recipientsPerMessage": 2}})).await;
        let binh = world.mailbox(json!({})).await;
        let shared = "mail_sending_counted_total{place=\"Shared\"}";
        let before = figure(world, shared).await;
        let mut subjects = Vec::new();
        for _ in 0..4 {
            let (subject, reply) = send(world, &an, &binh).await;
            assert_eq!(reply.code, 250, "{reply:?}");
            subjects.push(subject);
        }
        let (_, reply) = send(world, &an, &binh).await;
        assert!(reply.code == 450 && reply.text.contains("4.7.1"), "{reply:?}");
        assert!(figure(world, shared).await >= before + 5, "counted in Valkey");
        imap::wait_for(world, &binh, &subjects[3]).await;

        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        smtp.command(&format!("MAIL FROM:<{}>", an.address)).await.unwrap();
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(smtp.command(&format!("RCPT TO:<{}>", binh.address)).await.unwrap().code);
        }
        assert_eq!(codes, [250, 250, 452]);

        // 12 refusals are three times the limit.
        for _ in 0..11 {
            assert_eq!(send(world, &an, &binh).await.1.code, 450);
        }
        let reason = world.condition::<Mailbox>(&an.name, "CanSend", "False", WAIT).await;
        assert_eq!(reason, "BulkSending");
        let (_, reply) = send(world, &an, &binh).await;
        assert!(reply.code == 550 && reply.text.contains("5.7.1"), "{reply:?}");
        let status = world.api::<Mailbox>().get(&an.name).await.unwrap().status.unwrap();
        let since = status.sending_suspended.unwrap().since.0;
        imap::log_in(world, &an.address, &an.password).await.unwrap();

        let resume =
            json!({"metadata": {"annotations": {"mail.angiang.gov.vn/resume-sending": since.to_string()}}});
        world.api::<Mailbox>().patch(&an.name, &PatchParams::default(), &Patch::Merge(resume)).await.unwrap();
        eventually(WAIT, "an may send again", async || match send(world, &an, &binh).await.1 {
            reply if reply.code == 250 => Ok(()),
            reply => Err(format!("{reply:?}")),
        })
        .await;
        eventually(WAIT, "status says so", async || {
            let status =
                world.api::<Mailbox>().get(&an.name).await.map_err(|e| e.to_string())?.status.unwrap();
            let over = status.sending_suspended.is_none() && status.conditions.len() == 1;
            if over { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    });
}
