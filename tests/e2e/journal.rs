//! The journal: what was accepted is in object storage, and what object storage does not take is not accepted, or waits.

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use mail_operator::api::{MailSystem, Mailbox};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    imap,
    plugin::kubectl_mail,
    s3,
    smtp::{Reply, Smtp, message},
    world::{Account, World, eventually, run, run_alone, unique},
};

const LONG: Duration = Duration::from_mins(4);

async fn send(world: &World, to: &Account, subject: &str) -> Result<Reply, String> {
    let text = message("dan@example.com", &to.address, subject, "x");
    let mut smtp = Smtp::inbound(world).await.map_err(|e| e.to_string())?;
    smtp.send("dan@example.com", &[&to.address], &text).await.map_err(|e| e.to_string())
}

/// The value of a header.
fn header<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    message.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

async fn healthy(world: &World, status: &str, reason: &str) {
    eventually(LONG, &format!("JournalHealthy={status}, {reason}"), async || {
        let found = world.condition::<MailSystem>("mail", "JournalHealthy", status, LONG).await;
        if found == reason { Ok(()) } else { Err(found) }
    })
    .await;
}

#[test]
fn an_accepted_message_is_in_object_storage_with_its_envelope_under_the_id_that_it_carries() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let subject = unique("journalled");
        let text = message(&an.address, &binh.address, &subject, "Kính gửi.");
        // A client cannot choose the id.
        let text = format!("Journal-Id: 00000000000000000000000000000000\r\n{text}");
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        let reply = smtp.send(&an.address, &[&binh.address, &an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        // At once: it was there before the answer.
        let [entry] = &s3::find(world, &subject).await[..] else { panic!("it is there once") };
        assert_eq!(entry.login.as_deref(), Some(an.address.as_str()));
        assert_eq!(entry.sender, an.address);
        assert_eq!(entry.recipients, [binh.address.clone(), an.address.clone()]);
        assert!(entry.message.contains("Kính gửi.") && entry.message.contains("DKIM-Signature:"));
        for account in [&an, &binh] {
            let read = imap::wait_for(world, account, &subject).await;
            assert_eq!(header(&read, "Journal-Id"), [entry.id.as_str()], "{read}");
        }
    });
}

#[test]
fn a_message_that_was_refused_is_not_in_the_journal() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("virus");
        let text = message("dan@example.com", &an.address, &subject, crate::world::EICAR);
        let mut smtp = Smtp::inbound(world).await.unwrap();
        assert_eq!(smtp.send("dan@example.com", &[&an.address], &text).await.unwrap().code, 554);
        assert!(s3::find(world, &subject).await.is_empty());
    });
}

#[test]
fn without_object_storage_nothing_is_accepted_and_status_says_why() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        healthy(world, "True", "Written").await;
        s3::scale(world, 0).await;
        let reply = send(world, &an, &unique("refused")).await.unwrap();
        assert_eq!(reply.code, 451, "{reply:?}");
        healthy(world, "False", "StorageUnreachable").await;
        assert_eq!(world.condition::<MailSystem>("mail", "Ready", "False", LONG).await, "StorageUnreachable");
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        assert!(events.iter().any(|event| event.reason.as_deref() == Some("StorageUnreachable")));
        s3::scale(world, 1).await;
        healthy(world, "True", "Written").await;
        let subject = unique("again");
        assert_eq!(send(world, &an, &subject).await.unwrap().code, 250);
        imap::wait_for(world, &an, &subject).await;

        s3::credentials(world, "another secret").await;
        healthy(world, "False", "CredentialsRefused").await;
        s3::right_credentials(world).await;
        healthy(world, "True", "Written").await;
    });
}

#[test]
fn preferred_accepts_without_object_storage_and_uploads_later() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let durability = async |durability: &str| {
            let patch = Patch::Merge(json!({"spec": {"journal": {"durability": durability}}}));
            world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
            world.settled(LONG).await;
            healthy(world, "True", "Written").await;
        };
        durability("Preferred").await;
        s3::scale(world, 0).await;
        let subject = unique("kept");
        eventually(LONG, "mail is accepted", async || {
            let reply = send(world, &an, &subject).await?;
            if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        imap::wait_for(world, &an, &subject).await;
        healthy(world, "False", "StorageUnreachable").await;
        s3::scale(world, 1).await;
        healthy(world, "True", "Written").await;
        assert_eq!(s3::find(world, &subject).await.len(), 1);
        durability("Required").await;
    });
}

#[test]
fn an_administrator_lists_the_journal_and_reads_a_message_from_it() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("listed");
        assert_eq!(send(world, &an, &subject).await.unwrap().code, 250);
        let list = kubectl_mail(world, &["journal", "ls", "--since", "1h", "--recipient", &an.address]);
        let text = String::from_utf8(list.stdout).unwrap();
        assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
        let [line] = &text.lines().collect::<Vec<_>>()[..] else { panic!("one message: {text}") };
        assert!(line.contains(&format!("<dan@example.com>  <{}>", an.address)), "{line}");
        let id = line.split(' ').next().unwrap();
        let message = kubectl_mail(world, &["journal", "cat", id]);
        assert!(String::from_utf8(message.stdout).unwrap().contains(&format!("Subject: {subject}\r\n")));
        let none = kubectl_mail(world, &["journal", "cat", "00000000000000000000000000000000"]);
        assert!(!none.status.success());
        assert!(String::from_utf8_lossy(&none.stderr).contains("the journal has no message"));
    });
}

/// Speaks LMTP to the door of the store that holds a mailbox, as a gateway does that tries again.
async fn deliver_again(world: &World, account: &Account, message: &str) -> String {
    let mailbox = world.api::<Mailbox>().get(&account.name).await.unwrap();
    let pod = format!("mail-store-{}-0", mailbox.status.unwrap().shard.unwrap());
    let ip = world.api::<Pod>().get(&pod).await.unwrap().status.unwrap().pod_ip.unwrap();
    let stream = TcpStream::connect((ip.as_str(), 2003)).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut last = lines.next_line().await.unwrap().unwrap();
    let body = format!("{}\r\n.", message.trim_end().replace("\r\n.", "\r\n.."));
    let recipient = format!("RCPT TO:<{}>", account.address);
    for command in ["LHLO tests", "MAIL FROM:<dan@example.com>", &recipient, "DATA", &body] {
        write.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        loop {
            last = lines.next_line().await.unwrap().unwrap();
            if last.as_bytes()[3] == b' ' {
                break;
            }
        }
    }
    last
}

#[test]
fn a_message_that_comes_again_is_not_stored_again_even_if_its_owner_has_deleted_it() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let (kept, deleted) = (unique("kept"), unique("deleted"));
        let mut texts = Vec::new();
        for subject in [&kept, &deleted] {
            assert_eq!(send(world, &an, subject).await.unwrap().code, 250);
            texts.push(imap::wait_for(world, &an, subject).await);
        }
        let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
        session.create("Archive").await.unwrap();
        session.select("INBOX").await.unwrap();
        let find = |subject: &str| format!("SUBJECT {subject}");
        let one = async |session: &mut imap::Owner, subject: &str| {
            session.uid_search(find(subject)).await.unwrap().into_iter().next().unwrap().to_string()
        };
        let uid = one(&mut session, &kept).await;
        session.uid_mv(uid, "Archive").await.unwrap();
        let uid = one(&mut session, &deleted).await;
        let _: Vec<_> =
            session.uid_store(&uid, "+FLAGS (\\Deleted)").await.unwrap().try_collect().await.unwrap();
        let _: Vec<_> = session.expunge().await.unwrap().try_collect().await.unwrap();
        // What was accepted a moment ago is taken for a first attempt.
        tokio::time::sleep(Duration::from_secs(6)).await;
        for text in &texts {
            let reply = deliver_again(world, &an, text).await;
            assert!(reply.starts_with("250 2.1.5 Held mail-store-"), "{reply}");
        }
        session.select("INBOX").await.unwrap();
        assert!(session.uid_search("ALL").await.unwrap().is_empty());
        // Another message is delivered, by the same way.
        let id = header(&texts[0], "Journal-Id")[0];
        let other =
            texts[0].replace(id, &format!("{}{}", &id[..31], if id.ends_with('0') { '1' } else { '0' }));
        assert!(deliver_again(world, &an, &other).await.starts_with("250 2.1.5"));
        session.noop().await.unwrap();
        assert_eq!(session.uid_search("ALL").await.unwrap().len(), 1);
    });
}
