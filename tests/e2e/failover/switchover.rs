//! A planned switchover: everything that users have goes along, while they work.

use futures::TryStreamExt;
use serde_json::json;

use super::{
    SETTLED, ledger, pair,
    story::{Cast, Lost, delivered, served_again},
};
use crate::{
    imap, sieve,
    smtp::{Smtp, message},
    world::{Account, World, eventually, unique},
};

/// "Công văn" in modified UTF-7.
const FOLDER: &str = "C&APQ-ng v&AQM-n";
/// Files what is about tasks.
const SCRIPT: &str =
    "require [\"fileinto\"];\r\nif header :contains \"subject\" \"filed\" { fileinto \"Công văn\"; }\r\n";

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a mailbox is beside its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    /// Folders that are subscribed to.
    subscribed: Vec<String>,
    /// UIDs and UIDVALIDITY of what stands in the folder with a flag and a keyword.
    flagged: (Vec<u32>, Option<u32>),
    /// UIDs and UIDVALIDITY of INBOX: mail programs keep what they have under them.
    inbox: (Vec<u32>, Option<u32>),
    /// What is used, and what may be.
    quota: Vec<(u64, u64)>,
}

async fn rest(world: &World, account: &Account) -> Answer<Rest> {
    let mut session = imap::log_in(world, &account.address, &account.password).await?;
    let names: Vec<_> = session.lsub(Some(""), Some("*")).await?.try_collect().await?;
    let subscribed = names.iter().map(|name| name.name().to_owned()).collect();
    let (_, quotas) = session.get_quota_root("INBOX").await?;
    let quota = quotas.iter().flat_map(|quota| &quota.resources).map(|it| (it.usage, it.limit)).collect();
    let mut found = Vec::new();
    for (folder, search) in [(FOLDER, "FLAGGED KEYWORD $viec"), ("INBOX", "ALL")] {
        let validity = session.select(folder).await?.uid_validity;
        let mut uids: Vec<_> = session.uid_search(search).await?.into_iter().collect();
        uids.sort_unstable();
        found.push((uids, validity));
    }
    session.logout().await?;
    let [flagged, inbox] = found.try_into().map_err(|_| "two folders")?;
    Ok(Rest { subscribed, flagged, inbox, quota })
}

/// Gives the mailbox a folder with a flagged message, and a script.
async fn furnish(world: &World, account: &Account) {
    delivered(world, account).await;
    let mut session = imap::log_in(world, &account.address, &account.password).await.unwrap();
    session.create(FOLDER).await.unwrap();
    session.subscribe(FOLDER).await.unwrap();
    session.select("INBOX").await.unwrap();
    let flags = session.uid_store("1:*", "+FLAGS (\\Flagged $viec)").await.unwrap();
    let _: Vec<_> = flags.try_collect().await.unwrap();
    session.uid_copy("1:*", FOLDER).await.unwrap();
    session.logout().await.unwrap();
    sieve::activate(world, account, SCRIPT).await;
}

/// Whether the script works: a message about a task gets into the folder.
async fn is_filed(world: &World, account: &Account) {
    let subject = unique("filed");
    let text = message("dan@example.com", &account.address, &subject, "x");
    let mut smtp = Smtp::inbound(world).await.unwrap();
    let reply = smtp.send("dan@example.com", &[&account.address], &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    let search = format!("SUBJECT \"{subject}\"");
    let look = async || -> Answer<usize> {
        let mut session = imap::log_in(world, &account.address, &account.password).await?;
        session.select(FOLDER).await?;
        Ok(session.uid_search(&search).await?.len())
    };
    eventually(SETTLED, "the script files a message", async || match look().await {
        Ok(1) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[test]
fn after_a_switchover_under_load_users_have_all_that_they_had_and_nothing_that_they_deleted() {
    pair::run(async |pair| {
        let world = &pair.world;
        let an = world.mailbox(json!({"quota": "20Mi"})).await;
        furnish(world, &an).await;
        let gone = delivered(world, &an).await;
        ledger::delete(world, &an, &gone).await;
        let had = rest(world, &an).await.unwrap();
        assert!(had.quota.iter().any(|(used, most)| *used > 0 && *most == 20 * 1024), "{had:?}");
        assert!(had.flagged.0.len() == 1 && had.inbox.0.len() == 1, "{had:?}");

        let cast = Cast::new(pair).await;
        let what = "planned switchover";
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                pair.order_switchover(roles).await;
                served_again(pair, what, roles).await;
                roles.epoch
            })
            .await;
        assert_eq!(change.after.primary, change.before.replica());
        assert_eq!(rest(world, &an).await.unwrap(), had);
        is_filed(world, &an).await;

        // And back, with what was new in between.
        let kept = delivered(world, &an).await;
        let had = rest(world, &an).await.unwrap();
        assert_eq!(pair.switch_over(change.after).await.primary, change.before.primary);
        assert_eq!(rest(world, &an).await.unwrap(), had);
        let found = ledger::subjects(world, &an).await.unwrap();
        assert_eq!((found.get(&kept), found.get(&gone)), (Some(&1), None));
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn an_order_for_an_epoch_that_is_over_is_not_carried_out() {
    pair::run(async |pair| {
        let before = pair.settled().await;
        let after = pair.switch_over(before).await;
        // Repeated, as by somebody who did not see that it was done.
        pair.order_switchover(before).await;
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
        assert_eq!(pair.settled().await, after);
    });
}
