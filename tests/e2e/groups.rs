//! An address that reaches many: from SMTP to the inbox of each, and who may write to it.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use mail_operator::api::{MailGroup, Mailbox};
use serde_json::{Value, json};

use crate::{
    authenticity::serve_zone,
    imap, sieve,
    smtp::{Reply, Smtp, message},
    world::{Account, DOMAIN, World, eventually, parse, run, unique},
};

const WAIT: Duration = Duration::from_mins(2);

/// A MailGroup of these members, with this more in its spec; its name and its address.
async fn group(world: &World, members: &[&str], more: Value) -> (String, String) {
    let name = unique("g");
    let address = format!("{name}@{DOMAIN}");
    apply(world, &name, members, more).await;
    (name, address)
}

async fn apply(world: &World, name: &str, members: &[&str], more: Value) {
    let mut spec = json!({"address": format!("{name}@{DOMAIN}"), "members": members});
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    world.apply(parse::<MailGroup>(json!({"metadata": {"name": name}, "spec": spec}))).await;
}

async fn ready(world: &World, name: &str) {
    world.ready::<MailGroup>(name, WAIT).await;
}

async fn reason(world: &World, name: &str) -> String {
    world.condition::<MailGroup>(name, "Ready", "False", WAIT).await
}

async fn submit(world: &World, from: &Account, to: &[&str], subject: &str) -> Reply {
    let text = message(&from.address, to[0], subject, "Kính gửi toàn thể.");
    let mut smtp = Smtp::submissions(world, &from.address, &from.password).await.unwrap();
    smtp.send(&from.address, to, &text).await.unwrap()
}

async fn inbound(world: &World, envelope: &str, header: &str, to: &[&str], subject: &str) -> Reply {
    let text = message(header, to[0], subject, "Kính gửi.");
    Smtp::inbound(world).await.unwrap().send(envelope, to, &text).await.unwrap()
}

/// Waits until each has the message, then for one that comes twice; each must have it once.
async fn each_has_one(world: &World, accounts: &[&Account], subject: &str) {
    for account in accounts {
        imap::wait_for(world, account, subject).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for account in accounts {
        let found = imap::messages(world, account, subject).await.unwrap().len();
        assert_eq!(found, 1, "{}", account.address);
    }
}

fn taken(reply: &Reply) {
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn refused(reply: &Reply) {
    assert!(reply.code == 550 && reply.text.contains("5.7.1"), "{reply:?}");
}

#[test]
fn a_message_to_a_group_reaches_each_member_once_through_nested_groups_and_loops() {
    run(async |world| {
        let alias = format!("{}@{DOMAIN}", unique("alias"));
        let an = world.mailbox(json!({"aliases": [alias]})).await;
        let chi = world.mailbox(json!({"displayName": "Lê Thị Chi"})).await;
        // What a member forwards to another one is not twice there.
        let binh = world.mailbox(json!({"forward": {"to": chi.address}})).await;
        let (inner_name, inner) = group(world, &[&binh.address, &chi.address], json!({})).await;
        let display = json!({"displayName": "Toàn thể Sở Khoa học và Công nghệ", "posting": "Anyone"});
        let (outer_name, outer) = group(world, &[&an.address, &alias, &inner], display.clone()).await;
        for name in [&inner_name, &outer_name] {
            ready(world, name).await;
        }
        let status = world.api::<MailGroup>().get(&outer_name).await.unwrap().status.unwrap();
        assert_eq!(status.reaches, 3);
        let everybody = [&an, &binh, &chi];
        let subject = unique("nhom");
        taken(
            &inbound(
                world,
                "dan@example.com",
                "dan@example.com",
                &[&outer, &chi.address, &outer.to_uppercase()],
                &subject,
            )
            .await,
        );
        each_has_one(world, &everybody, &subject).await;
        let subject = unique("nhom");
        taken(&submit(world, &an, &[&outer.replacen('@', "+hop@", 1)], &subject).await);
        each_has_one(world, &everybody, &subject).await;

        // Each a member of the other: everybody is reached, whichever is written to.
        apply(world, &inner_name, &[&binh.address, &chi.address, &outer], json!({})).await;
        for name in [&inner_name, &outer_name] {
            assert_eq!(reason(world, name).await, "Loop");
        }
        for address in [&inner, &outer] {
            let subject = unique("vong");
            taken(&submit(world, &chi, &[address], &subject).await);
            each_has_one(world, &everybody, &subject).await;
        }
    });
}

#[test]
fn a_member_that_is_gone_takes_nothing_from_the_others_and_a_deleted_group_is_refused() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let nobody = format!("{}@{DOMAIN}", unique("nobody"));
        let (name, address) = group(world, &[&an.address, &binh.address, &nobody], json!({})).await;
        assert_eq!(reason(world, &name).await, "MemberUnknown");
        world.api::<Mailbox>().delete(&binh.name, &DeleteParams::default()).await.unwrap();
        eventually(WAIT, "the deleted member is named", async || {
            let status = world.api::<MailGroup>().get(&name).await.unwrap().status.unwrap_or_default();
            let named = status.not_reached.contains(&binh.address) && status.reaches == 1;
            if named { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
        let subject = unique("con-lai");
        taken(&submit(world, &an, &[&address], &subject).await);
        each_has_one(world, &[&an], &subject).await;

        world.api::<MailGroup>().delete(&name, &DeleteParams::default()).await.unwrap();
        eventually(WAIT, "the group is unknown", async || {
            let reply = submit(world, &an, &[&address], "gone").await;
            if reply.code == 550 && reply.text.contains("5.1.1") { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        // It kept nothing: a mailbox has the address at once.
        let spec = json!({"metadata": {"name": name}, "spec": {"address": address}});
        world.apply(parse::<Mailbox>(spec)).await;
        world.ready::<Mailbox>(&name, WAIT).await;
    });
}

#[test]
fn who_may_not_write_to_a_group_is_told_so_at_once() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let (system_name, system) = group(world, &[&an.address], json!({})).await;
        let (members_name, members) = group(world, &[&an.address], json!({"posting": "Members"})).await;
        let named = json!({"posting": "Listed", "owners": [binh.address]});
        let (listed_name, listed) = group(world, &[&an.address], named).await;
        for name in [&system_name, &members_name, &listed_name] {
            ready(world, name).await;
        }
        // Who has not logged in is nobody, whatever the envelope and the header say.
        for to in [&system, &members, &listed] {
            for (envelope, header) in
                [(&*an.address, &*an.address), (&binh.address, "dan@example.com"), ("", "dan@example.com")]
            {
                refused(&inbound(world, envelope, header, &[to], "forged").await);
            }
            refused(&inbound(world, "dan@example.com", "dan@example.com", &[to], "outside").await);
        }
        let subject = unique("duoc");
        taken(&submit(world, &binh, &[&system], &subject).await);
        each_has_one(world, &[&an], &subject).await;
        taken(&submit(world, &an, &[&members], "own").await);
        let reply = submit(world, &binh, &[&members], "no member").await;
        refused(&reply);
        assert!(reply.text.contains("Only its members"), "{reply:?}");
        taken(&submit(world, &binh, &[&listed], "owner").await);
        refused(&submit(world, &an, &[&listed], "a member, not named").await);
        // The others among the recipients are not refused with it.
        let mut smtp = Smtp::submissions(world, &binh.address, &binh.password).await.unwrap();
        smtp.command(&format!("MAIL FROM:<{}>", binh.address)).await.unwrap();
        refused(&smtp.command(&format!("RCPT TO:<{members}>")).await.unwrap());
        assert_eq!(smtp.command(&format!("RCPT TO:<{}>", an.address)).await.unwrap().code, 250);
        // Nobody sends as a group.
        let text = message(&an.address, &binh.address, "as a group", "x");
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        assert_eq!(smtp.send(&members, &[&binh.address], &text).await.unwrap().code, 553);
        let text = message(&members, &binh.address, "as a group", "x");
        assert_eq!(smtp.send(&an.address, &[&binh.address], &text).await.unwrap().code, 550);
    });
}

#[test]
fn who_is_named_outside_may_write_with_a_proof_only() {
    run(async |world| {
        serve_zone(world).await;
        let an = world.mailbox(json!({})).await;
        let partner = "dan@partner.mail-test.example";
        let senders = json!({"senders": [partner, "eve@example.com"]});
        let (name, address) = group(world, &[&an.address], senders).await;
        ready(world, &name).await;
        let subject = unique("doi-tac");
        eventually(Duration::from_mins(5), "SPF proves the partner", async || {
            let reply = inbound(world, partner, partner, &[&address], &subject).await;
            if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        imap::wait_for(world, &an, &subject).await;
        // Named, and not proven; proven, and another author.
        refused(&inbound(world, "eve@example.com", "eve@example.com", &[&address], "forged").await);
        refused(&inbound(world, partner, "mallory@example.com", &[&address], "another").await);
        refused(&inbound(world, "eve@example.com", partner, &[&address], "another").await);
        let lone = "eve@partner.mail-test.example";
        refused(&inbound(world, lone, lone, &[&address], "not named").await);
    });
}

#[test]
fn sieve_writes_to_a_group_as_its_mailbox_may() {
    run(async |world| {
        let (an, binh, chi) =
            (world.mailbox(json!({})).await, world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let named = json!({"posting": "Listed", "senders": [an.address]});
        let (name, address) = group(world, &[&chi.address], named).await;
        ready(world, &name).await;
        for account in [&an, &binh] {
            let script = format!("require \"copy\";\r\nredirect :copy \"{address}\";\r\n");
            sieve::activate(world, account, &script).await;
        }
        let (by_named, by_stranger) = (unique("duoc"), unique("nguoi-la"));
        for (to, subject) in [(&an, &by_named), (&binh, &by_stranger)] {
            taken(&inbound(world, "dan@example.com", "dan@example.com", &[&to.address], subject).await);
            imap::wait_for(world, to, subject).await;
        }
        imap::wait_for(world, &chi, &by_named).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(imap::messages(world, &chi, &by_stranger).await.unwrap().is_empty());
    });
}

#[test]
fn a_group_is_reached_by_its_aliases_and_by_mailboxes_that_forward_to_it() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let alias = format!("{}@{DOMAIN}", unique("cu"));
        let aliases = json!({"aliases": [alias], "posting": "Members"});
        let (name, address) = group(world, &[&an.address, &binh.address], aliases).await;
        ready(world, &name).await;
        // Who may write to the group may write to its alias, and nobody else.
        let subject = unique("bi-danh");
        taken(&submit(world, &an, &[&alias, &address], &subject).await);
        each_has_one(world, &[&an, &binh], &subject).await;
        let stranger = world.mailbox(json!({})).await;
        refused(&submit(world, &stranger, &[&alias], "no member").await);
        refused(&inbound(world, &an.address, &an.address, &[&alias], "forged").await);

        // Mail of a desk goes to everybody in it, whoever wrote it.
        let desk = world.mailbox(json!({"forward": {"to": alias, "keepCopy": false}})).await;
        let subject = unique("chuyen");
        taken(&inbound(world, "dan@example.com", "dan@example.com", &[&desk.address], &subject).await);
        each_has_one(world, &[&an, &binh], &subject).await;
        assert!(imap::messages(world, &desk, &subject).await.unwrap().is_empty());

        // Once the desk is a member itself its mail stays.
        let members = [&*an.address, &binh.address, &desk.address];
        apply(world, &name, &members, json!({"posting": "Members"})).await;
        ready(world, &name).await;
        let reason = world.condition::<Mailbox>(&desk.name, "Ready", "False", WAIT).await;
        assert_eq!(reason, "ForwardNotFound", "the alias is gone");
        let spec = json!({"spec": {"forward": {"to": address, "keepCopy": true}}});
        let (patch, params) = (Patch::Merge(spec), PatchParams::default());
        world.api::<Mailbox>().patch(&desk.name, &params, &patch).await.unwrap();
        eventually(WAIT, "the loop is told", async || {
            let reason = world.condition::<Mailbox>(&desk.name, "Ready", "False", WAIT).await;
            if reason == "ForwardLoop" { Ok(()) } else { Err(reason) }
        })
        .await;
        let subject = unique("o-lai");
        taken(&inbound(world, "dan@example.com", "dan@example.com", &[&desk.address], &subject).await);
        each_has_one(world, &[&desk], &subject).await;
        assert!(imap::messages(world, &an, &subject).await.unwrap().is_empty());

        // The alias is free.
        let taker = json!({"metadata": {"name": unique("m")}, "spec": {"address": alias}});
        let taker = world.apply(parse::<Mailbox>(taker)).await.metadata.name.unwrap();
        world.ready::<Mailbox>(&taker, WAIT).await;
    });
}
