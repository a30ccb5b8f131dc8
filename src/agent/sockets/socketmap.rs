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
    directory::{Group, Refusal, fold, with_detail},
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
/// address reaches, where mail is forwarded, and whom a group reaches; `sender`: the logins that may use the address, separated by commas; `refusal`: what a sender is told who writes to a mailbox
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
        Ok(None) => {
            let group = replica.group(&address);
            return group.map_or(Reply::NotFound, |group| of_group(&group, &request.map));
        }
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

/// What is said of a group: its members under `alias`; nobody sends as it.
fn of_group(group: &Group, map: &[u8]) -> Reply {
    match map {
        b"alias" if group.recipients.is_empty() => Reply::Temp("the group reaches nobody".into()),
        b"alias" => Reply::Ok(group.recipients.join(",").into()),
        b"refusal" if group.recipients.is_empty() => Reply::Ok(Bytes::from_static(
            b"451 4.2.1 This group reaches nobody now, try again later / Nhom thu hien chua co nguoi nhan, xin gui lai sau",
        )),
        b"mailbox" | b"sender" | b"refusal" => Reply::NotFound,
        _ => Reply::Perm("no such map".into()),
    }
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
#[path = "socketmap_tests.rs"]
mod tests;
