//! A mailbox that several people use, each with an own password.

use std::time::Duration;

use futures::TryStreamExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use mail_operator::api::Mailbox;
use serde_json::{Value, json};

use crate::{
    imap::{self, Owner},
    smtp::{Smtp, message},
    world::{Account, DOMAIN, World, eventually, parse, run, unique},
};

const WAIT: Duration = Duration::from_mins(2);

async fn set(world: &World, account: &Account, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
}

fn member(account: &Account, rights: &[&str]) -> Value {
    json!({"address": account.address, "rights": rights})
}

/// A mailbox in the same store as `beside`; made until it is, since people are spread by their address.
async fn neighbour(world: &World, beside: &Account) -> Account {
    let shard = async |account: &Account| {
        world.api::<Mailbox>().get(&account.name).await.unwrap().status.unwrap().shard
    };
    let wanted = shard(beside).await;
    for _ in 0..20 {
        let other = world.mailbox(json!({})).await;
        if shard(&other).await == wanted {
            return other;
        }
    }
    panic!("twenty mailboxes in another store");
}

async fn folders(session: &mut Owner) -> Vec<String> {
    let listed: Vec<_> = session.lsub(Some(""), Some("*")).await.unwrap().try_collect().await.unwrap();
    listed.iter().map(|folder| folder.name().to_owned()).collect()
}

/// Waits until the account's folder list has `folder` or has it no more, and opens it.
async fn sees(world: &World, account: &Account, folder: &str, expected: bool) {
    eventually(WAIT, &format!("{folder} seen by {}: {expected}", account.address), async || {
        let mut session =
            imap::log_in(world, &account.address, &account.password).await.map_err(|e| e.to_string())?;
        let opened = session.select(folder).await.is_ok();
        let listed: Vec<_> =
            session.list(Some(""), Some("*")).await.map_err(|e| e.to_string())?.try_collect().await.unwrap();
        let listed = listed.iter().any(|it| it.name() == folder);
        if (opened, listed) == (expected, expected) { Ok(()) } else { Err(format!("{opened} {listed}")) }
    })
    .await;
}

async fn receive(world: &World, address: &str) -> String {
    let subject = unique("shared");
    let text = message("dan@example.com", address, &subject, "x");
    let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[address], &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    subject
}

#[test]
fn members_find_a_units_mailbox_in_their_folder_list_and_lose_it_with_their_membership() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let binh = neighbour(world, &an).await;
        let members = [member(&an, &["Write"]), member(&binh, &["Read"])];
        let unit = world.mailbox(json!({"type": "Unit", "members": members})).await;
        let folder = format!("Other Users/{}", unit.address);
        let subject = receive(world, &unit.address).await;
        imap::wait_for(world, &unit, &subject).await;
        sees(world, &an, &folder, true).await;
        sees(world, &binh, &folder, true).await;

        // Who may write files and deletes; who may read does not. Marks of what was read are one's own.
        let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
        assert!(folders(&mut session).await.contains(&folder), "subscribed");
        session.select(&folder).await.unwrap();
        assert_eq!(session.uid_search(format!("SUBJECT {subject}")).await.unwrap().len(), 1);
        session.create(format!("{folder}/Da-xu-ly")).await.unwrap();
        session.uid_copy("1:*", format!("{folder}/Da-xu-ly")).await.unwrap();
        let mut reader = imap::log_in(world, &binh.address, &binh.password).await.unwrap();
        reader.select(&folder).await.unwrap();
        assert!(reader.create(format!("{folder}/Khong")).await.is_err());
        assert!(reader.uid_copy("1:*", format!("{folder}/Da-xu-ly")).await.is_err());
        reader.select(format!("{folder}/Da-xu-ly")).await.expect("a new folder is its members', too");

        // Out of the list, out of the mailbox: an open session ends.
        reader.select(&folder).await.unwrap();
        let mut idle = reader.idle();
        idle.init().await.unwrap();
        let (waiting, _stop) = idle.wait_with_timeout(WAIT);
        set(world, &unit, json!({"members": [member(&an, &["Read"])]})).await;
        let ended = tokio::time::timeout(WAIT, waiting).await.expect("the session goes on");
        assert!(!format!("{ended:?}").contains("Timeout"), "{ended:?}");
        sees(world, &binh, &folder, false).await;
        sees(world, &an, &folder, true).await;
    });
}

#[test]
fn a_member_sends_as_the_unit_and_only_who_may() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let alias = format!("{}@{DOMAIN}", unique("unit"));
        let members = [member(&an, &["SendAs"]), member(&binh, &["SendAs"])];
        let unit = world.mailbox(json!({"type": "Shared", "aliases": [alias], "members": members})).await;
        set(world, &unit, json!({"members": [member(&an, &["SendAs"])]})).await;
        world.ready::<Mailbox>(&unit.name, WAIT).await;
        assert!(imap::log_in(world, &unit.address, "").await.is_err(), "nobody logs in to it");
        for from in [&unit.address, &alias] {
            let subject = unique("as");
            let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
            let text = message(from, &binh.address, &subject, "x");
            assert_eq!(smtp.send(from, &[&binh.address], &text).await.unwrap().code, 250, "{from}");
            imap::wait_for(world, &binh, &subject).await;
            // Under an own address in the envelope as well.
            assert_eq!(smtp.send(&an.address, &[&binh.address], &text).await.unwrap().code, 250);
        }
        let text = message(&unit.address, &an.address, &unique("as"), "x");
        let mut smtp = Smtp::submissions(world, &binh.address, &binh.password).await.unwrap();
        assert_eq!(smtp.send(&unit.address, &[&an.address], &text).await.unwrap().code, 553);
        let reply = smtp.send(&binh.address, &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 550, "{reply:?}");
    });
}

#[test]
fn sharing_survives_a_change_of_address_and_ends_with_the_mailbox() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let unit = world.mailbox(json!({"type": "Unit", "members": [member(&an, &["Read"])]})).await;
        sees(world, &an, &format!("Other Users/{}", unit.address), true).await;
        let address = format!("{}@{DOMAIN}", unique("unit"));
        set(world, &unit, json!({"address": address})).await;
        let folder = format!("Other Users/{address}");
        sees(world, &an, &folder, true).await;
        // The member's change of address is none of its access.
        let moved = Account {
            name: an.name.clone(),
            address: format!("{}@{DOMAIN}", unique("an")),
            password: an.password.clone(),
        };
        set(world, &an, json!({"address": moved.address})).await;
        sees(world, &moved, &folder, true).await;
        world.api::<Mailbox>().delete(&unit.name, &DeleteParams::default()).await.unwrap();
        eventually(WAIT, "nothing of it is seen", async || {
            let mut session =
                imap::log_in(world, &moved.address, &moved.password).await.map_err(|e| e.to_string())?;
            let listed: Vec<_> = session
                .list(Some(""), Some("*"))
                .await
                .map_err(|e| e.to_string())?
                .try_collect()
                .await
                .unwrap();
            let other: Vec<_> =
                listed.iter().map(|it| it.name().to_owned()).filter(|it| it.starts_with("Other")).collect();
            if other.is_empty() { Ok(()) } else { Err(format!("{other:?}")) }
        })
        .await;
    });
}

#[test]
fn a_member_that_does_not_exist_is_told_of_and_sees_the_mailbox_once_it_does() {
    run(async |world| {
        let name = unique("later");
        let missing = json!({"address": format!("{name}@{DOMAIN}"), "rights": ["Read"]});
        let unit = unique("unit");
        let spec = json!({"address": format!("{unit}@{DOMAIN}"), "type": "Shared", "members": [missing]});
        world.apply(parse::<Mailbox>(json!({"metadata": {"name": unit}, "spec": spec}))).await;
        let reason = world.condition::<Mailbox>(&unit, "Ready", "False", WAIT).await;
        assert_eq!(reason, "MemberNotFound");
        let spec = json!({"address": format!("{name}@{DOMAIN}"), "type": "Service"});
        world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
        world.ready::<Mailbox>(&name, WAIT).await;
        let told = eventually(WAIT, "the unit's condition", async || {
            let status = world.api::<Mailbox>().get(&unit).await.unwrap().status.unwrap_or_default();
            let ready = status.conditions.iter().find(|it| it.type_ == "Ready").map(|it| it.reason.clone());
            match ready.as_deref() {
                Some(reason @ ("Served" | "MemberElsewhere")) => Ok(reason.to_owned()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let shard = async |name: &str| world.api::<Mailbox>().get(name).await.unwrap().status.unwrap().shard;
        assert_eq!(told == "Served", shard(&unit).await == shard(&name).await);
    });
}
