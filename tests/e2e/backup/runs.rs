//! Runs, and what they leave.

use kube::api::DeleteParams;
use mail_operator::api::{MailBackup, MailSnapshot, MailSystem};
use serde_json::json;

use super::{LONG, vault::Vault};
use crate::{
    imap,
    smtp::{Smtp, message},
    world::{eventually, run, unique},
};

#[test]
fn a_backup_is_made_and_proven_and_stock_restic_reads_it() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("sao-luu");
        let text = message("dan@example.com", &an.address, &subject, "Kính gửi.");
        let mut smtp = Smtp::inbound(world).await.unwrap();
        assert_eq!(smtp.send("dan@example.com", &[&an.address], &text).await.unwrap().code, 250);
        imap::wait_for(world, &an, &subject).await;

        let vault = Vault::new(world, json!({"verify": {"samplePercent": 100}})).await;
        let first = vault.proven().await;
        let status = vault.status().await;
        assert!(status.last_success.is_some() && status.last_verified.is_some(), "{status:?}");
        assert_eq!(status.verified_snapshot.as_deref(), Some(first.as_str()));
        assert!(status.restore_time.is_some() && status.size.is_some(), "{status:?}");
        assert!(status.next_run.is_some());
        vault.condition("Verified", "True").await;
        vault.condition("Succeeded", "True").await;
        let snapshot = world.api::<MailSnapshot>().get(&first).await.unwrap();
        assert_eq!(snapshot.spec.parts.len(), 2, "one for each shard");
        let counted = snapshot.status.unwrap_or_default();
        assert!(counted.mailboxes.unwrap_or_default() > 0 && counted.messages.unwrap_or_default() > 0);
        world.condition::<MailSystem>("mail", "BackupVerified", "True", LONG).await;

        let mut seen = false;
        for part in &snapshot.spec.parts {
            let listed = vault.restic(part.shard, &["snapshots", "--json", "--no-cache"]).await;
            assert!(String::from_utf8_lossy(&listed.stdout).contains(&part.id), "{listed:?}");
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().to_str().unwrap();
            let restored = vault.restic(part.shard, &["restore", &part.id, "--target", target]).await;
            assert!(restored.status.success(), "{restored:?}");
            let found = std::process::Command::new("grep").args(["-rlF", &subject, target]).output().unwrap();
            seen |= String::from_utf8_lossy(&found.stdout).lines().any(|path| path.contains("/spool/"));
        }
        assert!(seen, "the message is in a file that stock restic restored");
    });
}

#[test]
fn objects_of_snapshots_come_back_from_the_repository_and_the_next_run_adds_one() {
    run(async |world| {
        world.mailbox(json!({})).await;
        let vault = Vault::new(world, json!({"verify": {"mode": "None"}})).await;
        let first = vault.run().await;
        assert_eq!(first.reason, "Succeeded", "{first:?}");
        vault.condition("Verified", "Unknown").await;
        let there = async |run: &str| {
            eventually(LONG, &format!("{run} is there"), async || {
                world.api::<MailSnapshot>().get(run).await.map_err(|e| e.to_string())
            })
            .await
        };
        let before = there(&first.run).await;
        world.api::<MailSnapshot>().delete(&first.run, &DeleteParams::default()).await.unwrap();
        let after = eventually(LONG, "it is made again", async || {
            let again = world.api::<MailSnapshot>().get(&first.run).await.map_err(|e| e.to_string())?;
            let other = again.metadata.uid != before.metadata.uid;
            if other { Ok(again) } else { Err("it is still the former".to_owned()) }
        })
        .await;
        assert_eq!(after.spec, before.spec);
        let second = vault.run().await;
        assert_eq!(second.reason, "Succeeded", "{second:?}");
        there(&second.run).await;
        assert_eq!(vault.snapshots().await.len(), 2);
    });
}

#[test]
fn what_is_not_to_be_kept_is_forgotten_and_what_was_proven_stays() {
    run(async |world| {
        world.mailbox(json!({})).await;
        let vault = Vault::new(world, json!({"verify": {"samplePercent": 0}})).await;
        let proven = vault.proven().await;
        vault.apply(json!({"verify": {"mode": "None"}, "retention": {"keepLast": 1}})).await;
        let mut runs = Vec::new();
        for _ in 0..2 {
            let run = vault.run().await;
            assert_eq!(run.reason, "Succeeded", "{run:?}");
            runs.push(run.run);
        }
        eventually(LONG, "the one in the middle is forgotten", async || {
            let names: Vec<_> =
                vault.snapshots().await.into_iter().filter_map(|it| it.metadata.name).collect();
            let right = names.len() == 2 && names.contains(&proven) && names.contains(&runs[1]);
            if right { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
    });
}

#[test]
fn a_selection_has_the_mailboxes_that_it_names_alone() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let more = json!({"mailboxes": {"addresses": [an.address]}, "verify": {"samplePercent": 100}});
        let vault = Vault::new(world, more).await;
        let run = vault.proven().await;
        let snapshot = world.api::<MailSnapshot>().get(&run).await.unwrap();
        assert_eq!(snapshot.status.unwrap_or_default().mailboxes, Some(1));
        for part in &snapshot.spec.parts {
            let listed = vault.restic(part.shard, &["ls", &part.id]).await;
            assert!(!String::from_utf8_lossy(&listed.stdout).contains(&binh.address), "{listed:?}");
        }
    });
}

#[test]
fn deleting_the_object_deletes_no_backup() {
    run(async |world| {
        world.mailbox(json!({})).await;
        let vault = Vault::new(world, json!({"verify": {"mode": "None"}})).await;
        let run = vault.run().await;
        assert_eq!(run.reason, "Succeeded", "{run:?}");
        world.api::<MailBackup>().delete(&vault.name, &DeleteParams::default()).await.unwrap();
        eventually(LONG, "it is gone", async || {
            let gone = world.api::<MailBackup>().get_opt(&vault.name).await.map_err(|e| e.to_string())?;
            if gone.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
        })
        .await;
        // It is found again by whoever knows the place and the password.
        vault.apply(json!({"verify": {"mode": "None"}, "suspend": true})).await;
        eventually(LONG, "its snapshots are listed again", async || {
            let names: Vec<_> =
                vault.snapshots().await.into_iter().filter_map(|it| it.metadata.name).collect();
            if names == [run.run.clone()] { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
    });
}
