//! Mail that must arrive.

use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{run, unique},
};

#[test]
fn submitted_mail_is_signed_and_read_by_its_recipient() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        for port in [465, 587] {
            let subject = unique("invitation");
            let text = message(&an.address, &binh.address, &subject, "Kính mời.\n.a line with a leading dot");
            let mut smtp = if port == 465 {
                Smtp::submissions(world, &an.address, &an.password).await.unwrap()
            } else {
                Smtp::submission(world, &an.address, &an.password).await.unwrap()
            };
            let reply = smtp.send(&an.address, &[&binh.address], &text).await.unwrap();
            assert_eq!(reply.code, 250, "{reply:?}");
            let read = imap::wait_for(world, &binh, &subject).await;
            assert!(read.contains("Kính mời.\r\n.a line with a leading dot\r\n"), "{read}");
            assert!(read.contains("DKIM-Signature:") && read.contains("d=angiang.gov.vn"), "{read}");
            assert!(!read.to_lowercase().contains("mail-verdict"), "our token left the system: {read}");
        }
    });
}

#[test]
fn mail_from_outside_reaches_a_mailbox_and_its_alias() {
    run(async |world| {
        let alias = format!("{}@angiang.gov.vn", unique("vanthu"));
        let an = world.mailbox(json!({"aliases": [alias]})).await;
        let mut smtp = Smtp::inbound(world).await.unwrap();
        for to in [an.address.clone(), alias, an.address.to_uppercase()] {
            let subject = unique("question");
            let text = message("dan@example.com", &to, &subject, "Xin hỏi.");
            let reply = smtp.send("dan@example.com", &[&to], &text).await.unwrap();
            assert_eq!(reply.code, 250, "{to}: {reply:?}");
            imap::wait_for(world, &an, &subject).await;
        }
    });
}

#[test]
fn one_mail_to_many_mailboxes_over_both_shards_arrives_once_in_each() {
    run(async |world| {
        let mut accounts = Vec::new();
        for _ in 0..6 {
            accounts.push(world.mailbox(json!({})).await);
        }
        let subject = unique("circular");
        let to: Vec<&str> = accounts.iter().map(|account| account.address.as_str()).collect();
        let text = message("dan@example.com", to[0], &subject, "Thông báo.");
        let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &to, &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        for account in &accounts {
            imap::wait_for(world, account, &subject).await;
            assert_eq!(imap::messages(world, account, &subject).await.unwrap().len(), 1);
        }
    });
}

#[test]
fn a_suspended_mailbox_receives_but_its_owner_neither_logs_in_nor_sends() {
    run(async |world| {
        let chi = world.mailbox(json!({})).await;
        imap::log_in(world, &chi.address, &chi.password).await.unwrap();
        let suspend = |state: &str| json!({"spec": {"state": state}});
        let set_state = async |state: &str| {
            let patch = kube::api::Patch::Merge(suspend(state));
            let api = world.api::<mail_operator::api::Mailbox>();
            api.patch(&chi.name, &kube::api::PatchParams::default(), &patch).await.unwrap();
            world.ready::<mail_operator::api::Mailbox>(&chi.name, std::time::Duration::from_mins(1)).await;
        };
        set_state("Suspended").await;
        assert!(imap::log_in(world, &chi.address, &chi.password).await.is_err());
        assert!(Smtp::submissions(world, &chi.address, &chi.password).await.is_err());
        let subject = unique("meanwhile");
        let text = message("dan@example.com", &chi.address, &subject, "Xin chào.");
        let reply = Smtp::inbound(world)
            .await
            .unwrap()
            .send("dan@example.com", &[&chi.address], &text)
            .await
            .unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        set_state("Active").await;
        imap::wait_for(world, &chi, &subject).await;
    });
}
