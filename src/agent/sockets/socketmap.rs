//! Postfix's questions about addresses: who a recipient is, and who may send as whom.
//!
//! Keys come in as the client typed them; the directory's answer goes out. It must not say "not found" while no
//! directory is held: that would bounce mail.

use std::{collections::BTreeSet, path::Path, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{net::UnixStream, time::timeout};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::listener;
use crate::{
    agent::directory::{Found, Replica, Torn},
    directory::{Refusal, fold, with_detail},
    wire::socketmap::{Codec, Reply, Request},
};

/// One connection for each smtpd and cleanup.
const CONNECTIONS: usize = 1024;
/// Postfix closes a connection that is idle for 10 s.
const IDLE: Duration = Duration::from_mins(2);
const WRITE: Duration = Duration::from_secs(5);

#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Found,
    NotFound,
    Temporary,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    answer: Answer,
}

type Lookups = Family<Labels, Counter>;

/// The answer to one question. `mailbox`: whether the address is a mailbox's own; `alias`: the mailbox that another
/// address reaches, and where mail is forwarded; `sender`: the logins that may use the address, separated by commas; `refusal`: what a sender is told who writes to a mailbox
/// that takes no mail, as an action of Postfix' `access(5)`.
#[must_use]
pub fn answer(replica: &Replica, request: &Request) -> Reply {
    if !replica.loaded() {
        return Reply::Temp("no directory yet".into());
    }
    let Some(address) = std::str::from_utf8(&request.key).ok().and_then(|key| fold(key).ok()) else {
        return Reply::NotFound;
    };
    let (found, detail) = match replica.reach(&address) {
        Ok(Some(reached)) => reached,
        Ok(None) => return Reply::NotFound,
        Err(Torn) => return Reply::Temp("the directory is being changed".into()),
    };
    match &*request.map {
        b"mailbox" if is_own(&found, &address, detail) => Reply::Ok(Bytes::from(address)),
        b"mailbox" => Reply::NotFound,
        b"alias" => targets(&found, &address, detail),
        b"sender" => Reply::Ok(Bytes::from(found.senders().collect::<Vec<_>>().join(","))),
        b"refusal" => found.entry.refusal.as_ref().map_or(Reply::NotFound, refusal),
        _ => Reply::Perm("no such map".into()),
    }
}

/// Where mail for `address` goes in the end, as Postfix finds out by asking for aliases again and again; `None` while the
/// directory does not tell.
#[must_use]
pub fn expand(replica: &Replica, address: &str) -> Option<Vec<String>> {
    let (mut open, mut seen, mut ends) = (vec![address.to_owned()], BTreeSet::new(), Vec::new());
    while let Some(address) = open.pop() {
        if !seen.insert(address.to_ascii_lowercase()) {
            continue;
        }
        let request = Request { map: Bytes::from_static(b"alias"), key: Bytes::from(address.clone()) };
        match answer(replica, &request) {
            Reply::Ok(targets) => {
                let targets: Vec<_> =
                    String::from_utf8_lossy(&targets).split(',').map(str::to_owned).collect();
                // One that leads to itself ends there.
                if targets.iter().any(|target| target.eq_ignore_ascii_case(&address)) {
                    ends.push(address);
                }
                open.extend(targets.into_iter().rev());
            }
            Reply::NotFound => ends.push(address),
            _ => return None,
        }
    }
    Some(ends)
}

/// Whether the address is the mailbox's own, with or without a detail.
fn is_own(found: &Found, address: &str, detail: Option<&str>) -> bool {
    detail.map_or_else(|| found.address == address, |detail| with_detail(&found.address, detail) == address)
}

/// What mail for the address is for instead of it: the mailbox's own address, and where that forwards. Postfix asks about
/// each of them again.
fn targets(found: &Found, address: &str, detail: Option<&str>) -> Reply {
    let own = detail.map_or_else(|| found.address.clone(), |detail| with_detail(&found.address, detail));
    match &found.entry.forward {
        Some(forward) if forward.copy => Reply::Ok(format!("{own},{}", forward.to).into()),
        Some(forward) => Reply::Ok(forward.to.clone().into()),
        None if own == address => Reply::NotFound,
        None => Reply::Ok(own.into()),
    }
}

/// In both languages; Vietnamese without its marks, for a reply to SMTP is ASCII.
fn refusal(refusal: &Refusal) -> Reply {
    let action = match refusal {
        Refusal::Unsettled => {
            "451 4.2.1 This mailbox is being set up, try again later / Hop thu dang duoc thiet lap, xin gui lai sau"
                .to_owned()
        }
        Refusal::Suspended => "550 5.2.1 This mailbox is not in use / Hop thu tam ngung su dung".to_owned(),
        Refusal::Retired(None) => "550 5.1.6 This mailbox is closed / Hop thu da dong".to_owned(),
        Refusal::Retired(Some(successor)) => {
            format!("550 5.1.6 This mailbox is closed, write to {successor} / Hop thu da dong, xin gui den {successor}")
        }
    };
    Reply::Ok(Bytes::from(action))
}

/// Answers at `path` until `shutdown`.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    path: &Path,
    replica: Replica,
    registry: &mut Registry,
    shutdown: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let listener = listener::bind(path)?;
    let lookups = Lookups::default();
    registry.register("socketmap_lookups", "Postfix's questions about addresses, by answer", lookups.clone());
    Ok(listener::serve(listener, CONNECTIONS, shutdown.clone(), move |stream| {
        let connection = converse(stream, replica.clone(), lookups.clone());
        let shutdown = shutdown.clone();
        async move {
            shutdown.run_until_cancelled(connection).await;
        }
    }))
}

async fn converse(stream: UnixStream, replica: Replica, lookups: Lookups) {
    let mut framed = Framed::new(stream, Codec);
    while let Ok(Some(request)) = timeout(IDLE, framed.next()).await {
        let request = match request {
            Ok(request) => request,
            Err(error) => return tracing::warn!(%error, "a socketmap connection ends"),
        };
        let reply = answer(&replica, &request);
        lookups.get_or_create(&Labels { answer: kind(&reply) }).inc();
        if !matches!(timeout(WRITE, framed.send(reply)).await, Ok(Ok(()))) {
            return;
        }
    }
}

fn kind(reply: &Reply) -> Answer {
    match reply {
        Reply::Ok(_) => Answer::Found,
        Reply::NotFound => Answer::NotFound,
        Reply::Temp(_) | Reply::Timeout(_) | Reply::Perm(_) => Answer::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::directory::testing;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn ask(replica: &Replica, map: &'static str, key: &'static str) -> Reply {
        answer(replica, &Request { map: Bytes::from(map), key: Bytes::from(key) })
    }

    #[test]
    fn nothing_is_unknown_before_the_directory_is_there() {
        for map in ["mailbox", "alias", "sender"] {
            assert!(matches!(ask(&testing::empty(), map, "an@x.vn"), Reply::Temp(_)));
        }
    }

    #[test]
    fn addresses_are_found_in_any_case_and_by_what_they_are() {
        let replica = testing::replica();
        let an = Reply::Ok("an@x.vn".into());
        assert_eq!(ask(&replica, "mailbox", "An@X.vn"), an);
        assert_eq!(ask(&replica, "mailbox", "van-thu@x.vn"), Reply::NotFound);
        assert_eq!(ask(&replica, "alias", "\"van-thu\"@x.vn"), an);
        assert_eq!(ask(&replica, "alias", "an@x.vn"), Reply::NotFound);
        assert_eq!(ask(&replica, "sender", "van-thu@x.vn"), an);
        assert_eq!(ask(&replica, "sender", "an@x.vn"), an);
        for key in ["nobody@x.vn", "@x.vn", "an", "an@", "a b@x.vn"] {
            assert_eq!(ask(&replica, "sender", key), Reply::NotFound, "{key}");
        }
        assert!(matches!(ask(&replica, "transport", "an@x.vn"), Reply::Perm(_)));
    }

    #[test]
    fn an_address_leads_where_postfix_would_find_it_to_lead() {
        use crate::directory::{Entry, Forward, MailboxEntry, Shard};
        let forward = |to: &str, copy| Some(Forward { to: to.into(), copy });
        let mailbox = |forward| Entry::Mailbox(MailboxEntry { forward, ..MailboxEntry::default() });
        let entries = [
            ("an@x.vn".to_owned(), mailbox(forward("binh@x.vn", true))),
            ("binh@x.vn".to_owned(), mailbox(forward("an@x.vn", true))),
            ("chi@x.vn".to_owned(), mailbox(forward("an@x.vn", false))),
            ("van-thu@x.vn".to_owned(), Entry::Alias("chi@x.vn".into())),
        ];
        let replica = testing::empty();
        assert_eq!(expand(&replica, "an@x.vn"), None, "it is not known yet");
        testing::fill(&replica);
        let shard = Shard { entries: entries.into(), ..Shard::default() };
        assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
        let both = || Some(vec!["an@x.vn".to_owned(), "binh@x.vn".to_owned()]);
        assert_eq!(expand(&replica, "an@x.vn"), both());
        assert_eq!(expand(&replica, "van-thu@x.vn"), both());
        assert_eq!(expand(&replica, "o@example.net"), Some(vec!["o@example.net".to_owned()]));
    }

    #[test]
    fn who_writes_to_a_mailbox_that_takes_no_mail_is_told_so_by_each_of_its_addresses() {
        use crate::directory::{Entry, MailboxEntry, Shard};
        let replica = testing::replica();
        assert_eq!(ask(&replica, "refusal", "an@x.vn"), Reply::NotFound);
        for (refusal, start) in [
            (Refusal::Unsettled, "451 4.2.1 "),
            (Refusal::Suspended, "550 5.2.1 "),
            (Refusal::Retired(None), "550 5.1.6 This mailbox is closed /"),
            (Refusal::Retired(Some("b@y.vn".into())), "550 5.1.6 This mailbox is closed, write to b@y.vn"),
        ] {
            let mailbox = MailboxEntry { refusal: Some(refusal), ..MailboxEntry::default() };
            let entries = [
                ("an@x.vn".to_owned(), Entry::Mailbox(mailbox)),
                ("van-thu@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
            ];
            let replica = testing::empty();
            testing::fill(&replica);
            let shard = Shard { entries: entries.into(), ..Shard::default() };
            assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
            for key in ["An@x.vn", "van-thu@x.vn"] {
                let Reply::Ok(action) = ask(&replica, "refusal", key) else { panic!("{key} is taken") };
                assert!(action.starts_with(start.as_bytes()) && action.is_ascii(), "{action:?}");
            }
            assert_eq!(ask(&replica, "refusal", "x.vn"), Reply::NotFound);
        }
    }

    #[test]
    fn members_who_may_send_are_named_as_senders_and_those_who_only_read_are_not() {
        use crate::{
            api::MemberRight,
            directory::{Entry, MailboxEntry, Shard, Share},
        };
        let member = |address: &str, right| Share { address: address.into(), rights: [right].into() };
        let members = vec![member("an@x.vn", MemberRight::SendAs), member("binh@x.vn", MemberRight::Write)];
        let mailbox = MailboxEntry { shares: members, ..MailboxEntry::default() };
        let entries = [
            ("vt@x.vn".to_owned(), Entry::Mailbox(mailbox)),
            ("van-thu@x.vn".to_owned(), Entry::Alias("vt@x.vn".into())),
        ];
        let replica = testing::empty();
        testing::fill(&replica);
        let shard = Shard { entries: entries.into(), ..Shard::default() };
        assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
        for key in ["vt@x.vn", "Van-thu@x.vn"] {
            assert_eq!(ask(&replica, "sender", key), Reply::Ok("vt@x.vn,an@x.vn".into()));
        }
        assert!(replica.owns("an@x.vn", "van-thu@x.vn") && replica.owns("vt@x.vn", "vt@x.vn"));
        assert!(!replica.owns("binh@x.vn", "vt@x.vn"));
    }

    #[test]
    fn a_detail_is_not_part_of_an_address_and_is_kept() {
        let replica = testing::replica();
        assert_eq!(ask(&replica, "mailbox", "An+Viec@x.vn"), Reply::Ok("an+viec@x.vn".into()));
        assert_eq!(ask(&replica, "alias", "an+viec@x.vn"), Reply::NotFound);
        assert_eq!(ask(&replica, "mailbox", "van-thu+a+b@x.vn"), Reply::NotFound);
        assert_eq!(ask(&replica, "alias", "van-thu+a+b@x.vn"), Reply::Ok("an+a+b@x.vn".into()));
        assert_eq!(ask(&replica, "sender", "an+viec@x.vn"), Reply::Ok("an@x.vn".into()));
        for unknown in ["nobody+viec@x.vn", "+viec@x.vn"] {
            assert_eq!(ask(&replica, "mailbox", unknown), Reply::NotFound, "{unknown}");
        }
    }

    #[test]
    fn a_forward_replaces_a_recipient_or_stands_beside_it() {
        use crate::directory::{Entry, Forward, MailboxEntry, Shard};
        for (copy, own, detailed) in
            [(true, "an@x.vn,binh@x.vn", "an+viec@x.vn,binh@x.vn"), (false, "binh@x.vn", "binh@x.vn")]
        {
            let forward = Some(Forward { to: "binh@x.vn".into(), copy });
            let entries = [
                ("an@x.vn".to_owned(), Entry::Mailbox(MailboxEntry { forward, ..MailboxEntry::default() })),
                ("van-thu@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
            ];
            let replica = testing::empty();
            testing::fill(&replica);
            let shard = Shard { entries: entries.into(), ..Shard::default() };
            assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
            for key in ["an@x.vn", "van-thu@x.vn"] {
                assert_eq!(ask(&replica, "alias", key), Reply::Ok(own.into()), "{key}");
            }
            assert_eq!(ask(&replica, "alias", "van-thu+viec@x.vn"), Reply::Ok(detailed.into()));
            assert_eq!(ask(&replica, "mailbox", "an@x.vn"), Reply::Ok("an@x.vn".into()));
        }
    }

    #[test]
    fn an_alias_whose_mailbox_has_not_arrived_is_not_unknown() {
        use crate::directory::{Entry, Shard};
        let replica = testing::empty();
        testing::fill(&replica);
        let entries = [
            ("an@x.vn".to_owned(), Entry::Alias("an.le@x.vn".into())),
            ("a@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
        ];
        let shard = Shard { entries: entries.into(), ..Shard::default() };
        assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
        for (map, key) in
            [("mailbox", "an@x.vn"), ("alias", "an@x.vn"), ("sender", "a@x.vn"), ("refusal", "a@x.vn")]
        {
            assert!(matches!(ask(&replica, map, key), Reply::Temp(_)), "{map} {key}");
        }
        assert_eq!(ask(&replica, "alias", "an.le@x.vn"), Reply::NotFound);
    }

    #[tokio::test]
    async fn postfix_asks_several_questions_on_one_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map");
        let shutdown = CancellationToken::new();
        let mut registry = crate::metrics::registry();
        let server = serve(&path, testing::replica(), &mut registry, shutdown.clone()).unwrap();
        let server = tokio::spawn(server);
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"15:mailbox An@x.vn,14:mailbox x@x.vn,").await.unwrap();
        let mut answers = vec![0; 14 + 12];
        stream.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers, b"10:OK an@x.vn,9:NOTFOUND ,");
        shutdown.cancel();
        server.await.unwrap();
        assert!(crate::metrics::encode(&registry).unwrap().contains("answer=\"NotFound\"} 1"));
    }
}
