//! The API server is away: mail, logins and restarts in place go on.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mail_operator::api::{MailSystem, Mailbox};
use serde_json::json;

use crate::{
    imap,
    local::{Away, kill_agent},
    smtp::{Smtp, message},
    world::{World, eventually, run_alone, unique},
};

const LONG: Duration = Duration::from_mins(4);

async fn mail_flows(world: &World, an: &crate::world::Account) {
    let subject = unique("offline");
    eventually(LONG, "mail is submitted and read", async || {
        let text = message(&an.address, &an.address, &subject, "x");
        let mut smtp =
            Smtp::submissions(world, &an.address, &an.password).await.map_err(|e| e.to_string())?;
        let reply = smtp.send(&an.address, &[&an.address], &text).await.map_err(|e| e.to_string())?;
        if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
    imap::wait_for(world, an, &subject).await;
}

#[test]
fn without_the_api_server_mail_flows_and_agents_restart_in_place() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let shard = world.api::<Mailbox>().get(&an.name).await.unwrap().status.unwrap().shard.unwrap();
        let mut pods = Vec::new();
        for name in
            ["mail-gateway-0".to_owned(), "mail-gateway-1".to_owned(), format!("mail-store-{shard}-0")]
        {
            pods.push(world.api::<Pod>().get(&name).await.unwrap());
        }
        {
            let _away = Away::api();
            mail_flows(world, &an).await;
            for pod in &pods {
                kill_agent(&pod.uid().unwrap(), LONG).await;
            }
            mail_flows(world, &an).await;
        }
        world.ready::<MailSystem>("mail", LONG).await;
        world.mailbox(json!({})).await;
    });
}
