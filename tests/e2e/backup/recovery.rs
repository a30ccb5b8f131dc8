//! Everything is lost but object storage, and what it was encrypted with.

use std::fmt::Debug;

use futures::TryStreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        coordination::v1::Lease,
        core::v1::{PersistentVolumeClaim, Pod, Secret},
    },
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams},
};
use mail_operator::api::{
    MailBackup, MailDomain, MailGroup, MailRestore, MailSnapshot, MailSystem, Mailbox, RetiredMailbox,
    restore::RestorePhase,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    LONG,
    vault::{Vault, restore},
};
use crate::{
    imap,
    plugin::kubectl_mail,
    s3,
    smtp::{Smtp, message},
    world::{Account, HOSTNAME, World, alone, eventually, unique},
};

fn system(namespace: &str) -> serde_json::Value {
    let mut spec = json!({
        "hostname": HOSTNAME,
        "gateway": {"queueStorage": {"size": "1Gi"}},
        "store": {"storage": {"size": "1Gi"}},
        "antivirus": {"signatureSecret": "eicar"},
    });
    spec["journal"] = s3::journal(namespace);
    spec
}

/// Some mailboxes with some mail each.
async fn filled(world: &World) -> Vec<Account> {
    let mut accounts = Vec::new();
    for n in 0..3 {
        let account = world.mailbox(json!({"displayName": format!("Người thứ {n}")})).await;
        let mut session = imap::log_in(world, &account.address, &account.password).await.unwrap();
        session.create(imap::name("Công văn")).await.unwrap();
        for m in 0..4 {
            let text = format!(
                "From: dan@example.com\r\nSubject: thu {m}\r\nMessage-ID: <{m}.{n}@x>\r\n\r\n{m}\r\n"
            );
            let folder = if m % 2 == 0 { "INBOX".to_owned() } else { imap::name("Công văn") };
            session.append(folder, Some(r"(\Seen)"), None, text).await.unwrap();
        }
        accounts.push(account);
    }
    accounts
}

/// What the owner reads, with the password that there was.
async fn read(world: &World, account: &Account) -> Result<Vec<String>, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let mut session = imap::log_in(world, &account.address, &account.password).await.map_err(|e| text(&e))?;
    let mut all = Vec::new();
    for folder in ["INBOX".to_owned(), imap::name("Công văn")] {
        session.select(&folder).await.map_err(|e| text(&e))?;
        let fetched: Vec<_> = session
            .fetch("1:*", "(UID FLAGS BODY.PEEK[])")
            .await
            .map_err(|e| text(&e))?
            .try_collect()
            .await
            .unwrap_or_default();
        all.extend(fetched.iter().map(|message| {
            let seen = message.flags().any(|flag| flag == async_imap::types::Flag::Seen);
            format!("{folder} {seen} {}", String::from_utf8_lossy(message.body().unwrap_or_default()))
        }));
    }
    all.sort();
    Ok(all)
}

async fn all_of(world: &World, accounts: &[Account]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for account in accounts {
        let what = format!("{} reads", account.address);
        all.push(eventually(LONG, &what, async || read(world, account).await).await);
    }
    all
}

/// Deletes all objects of a kind and waits until they are gone.
async fn delete_all<K>(world: &World, labels: &str)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let (api, which) = (world.api::<K>(), ListParams::default().labels(labels));
    api.delete_collection(&DeleteParams::default(), &which).await.unwrap();
    eventually(LONG, &format!("no {} is left", K::kind(&())), async || {
        let left = api.list_metadata(&which).await.map_err(|e| e.to_string())?.items;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{:?}", left.iter().map(ResourceExt::name_any).collect::<Vec<_>>()))
        }
    })
    .await;
}

#[test]
fn a_system_whose_volumes_are_lost_gets_every_message_back_and_so_does_an_empty_cluster() {
    alone(async {
        let world = World::of(system).await;
        let accounts = filled(&world).await;
        let before = all_of(&world, &accounts).await;
        assert!(before.iter().all(|mailbox| mailbox.len() == 4));
        let vault = Vault::new(&world, json!({"objects": "WithSecrets"})).await;
        let run = vault.proven().await;
        // Only the journal will have this.
        let late = unique("sau-sao-luu");
        let text = message("dan@example.com", &accounts[0].address, &late, "Kính gửi.");
        let mut smtp = Smtp::inbound(&world).await.unwrap();
        let reply = smtp.send("dan@example.com", &[&accounts[0].address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        imap::wait_for(&world, &accounts[0], &late).await;

        // Both volumes of its only shard.
        lose_both_volumes(&world).await;
        world.ready::<MailSystem>("mail", LONG).await;
        let latest = json!({"from": {"latestVerified": {"backup": vault.name}}, "mailboxes": {"all": true}});
        let status = restore(&world, latest).await;
        assert_eq!((status.phase, status.failed), (RestorePhase::Succeeded, Some(0)), "{status:?}");
        assert_eq!(all_of(&world, &accounts).await, before);
        let snapshot = world.api::<MailSnapshot>().get(&run).await.unwrap();
        let since = snapshot.spec.time.0.to_string();
        let bring_back = || kubectl_mail(&world, &["replay", "--lost-stores", "0", "--since", &since]);
        eventually(LONG, "what came after the backup is brought back", async || {
            let output = bring_back();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
            // Completions are written some seconds after the fact.
            let found = imap::messages(&world, &accounts[0], &late).await.map_err(|e| e.to_string())?;
            if output.status.success() && found.len() == 1 { Ok(()) } else { Err(format!("{text}{wrong}")) }
        })
        .await;
        bring_back();
        let again = imap::messages(&world, &accounts[0], &late).await.unwrap();
        assert_eq!(again.len(), 1, "nothing comes twice");

        // All objects of the system as well, as if the cluster were another.
        lose_everything(&world, &vault).await;
        vault.right_password().await;
        vault.apply(json!({"suspend": true})).await;
        eventually(LONG, "the snapshot is found in the repository", async || {
            world.api::<MailSnapshot>().get(&run).await.map(drop).map_err(|e| e.to_string())
        })
        .await;
        let whole = json!({
            "from": {"snapshot": run}, "mailboxes": {"all": true}, "objects": true, "allowUnverified": true,
        });
        let status = restore(&world, whole).await;
        assert_eq!((status.phase, status.failed), (RestorePhase::Succeeded, Some(0)), "{status:?}");
        let world = world.again().await;
        assert_eq!(all_of(&world, &accounts).await, before);
        let api = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
        let _ = api.delete(&world.namespace, &DeleteParams::default()).await;
    });
}

async fn lose_both_volumes(world: &World) {
    let claims = world.api::<PersistentVolumeClaim>();
    let names = ["data-mail-store-0-0", "data-mail-store-0-1"];
    let mut lost = Vec::new();
    for name in names {
        lost.push(claims.get(name).await.unwrap().uid());
        claims.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let now = DeleteParams::default().grace_period(0);
    for pod in ["mail-store-0-0", "mail-store-0-1"] {
        world.api::<Pod>().delete(pod, &now).await.unwrap();
    }
    eventually(LONG, "both volumes are others", async || {
        for (name, lost) in names.iter().zip(&lost) {
            match claims.get_opt(name).await.map_err(|e| e.to_string())? {
                Some(claim) if claim.uid() != *lost => {}
                Some(_) => return Err(format!("{name} is the lost one's")),
                None => {
                    let pod = name.trim_start_matches("data-");
                    let _ = world.api::<Pod>().delete(pod, &now).await;
                    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                    return Err(format!("there is no {name}"));
                }
            }
        }
        Ok(())
    })
    .await;
    // Who served last is known from the Lease: without it the shard begins anew.
    world.api::<Lease>().delete("mail-store-0", &DeleteParams::default()).await.unwrap();
}

async fn lose_everything(world: &World, vault: &Vault) {
    world.api::<MailSystem>().delete("mail", &DeleteParams::default()).await.unwrap();
    delete_all::<Pod>(world, "app.kubernetes.io/instance=mail").await;
    delete_all::<MailBackup>(world, "").await;
    delete_all::<MailRestore>(world, "").await;
    delete_all::<MailSnapshot>(world, "").await;
    delete_all::<MailGroup>(world, "").await;
    delete_all::<Mailbox>(world, "").await;
    delete_all::<MailDomain>(world, "").await;
    delete_all::<RetiredMailbox>(world, "").await;
    delete_all::<PersistentVolumeClaim>(world, "app.kubernetes.io/instance=mail").await;
    delete_all::<Lease>(world, "").await;
    let secrets = world.api::<Secret>();
    for secret in secrets.list_metadata(&ListParams::default()).await.unwrap() {
        let name = secret.name_any();
        if !["s3", "eicar", vault.name.as_str()].contains(&name.as_str()) {
            let _ = secrets.delete(&name, &DeleteParams::default()).await;
        }
    }
}
