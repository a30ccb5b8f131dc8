//! The last log-ins and messages in memory, in the order in which they changed. Pure: times come in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{agent::pages::epoch, api::Protocol};

/// A last time younger than this is not replaced, in seconds.
const GRAIN: u32 = 60;
/// A source is known for so long after its last log-in, in seconds.
const KNOWN: u32 = 60 * 60 * 24 * 60;
/// So many sources are known of one mailbox, the latest.
const SOURCES: usize = 8;
/// So many app passwords are remembered of one mailbox.
const APPS: usize = 32;

/// What is known of one mailbox. Times are seconds of Unix time.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The last log-in by protocol.
    #[serde(flatten)]
    pub protocols: BTreeMap<Protocol, u32>,
    /// The last log-in by app password and protocol.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<String, BTreeMap<Protocol, u32>>,
    /// When its last message was accepted for sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u32>,
}

impl Account {
    /// The last log-in over `protocol`.
    #[must_use]
    pub fn last(&self, protocol: Protocol) -> Option<u32> {
        self.protocols.get(&protocol).copied()
    }
}

/// A mailbox on a page.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its address, folded.
    pub address: String,
    /// The uid of its owner; empty if it is not known.
    #[serde(default)]
    pub owner: String,
    /// What is known of it.
    #[serde(flatten)]
    pub account: Account,
}

/// Some of what changed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Names the agent's process. Cursors of another one are of no use: begin at 0.
    pub epoch: String,
    /// The cursor for the next page.
    pub next: u64,
    /// Whether there is more behind `next` already.
    pub more: bool,
    /// Since when all of this is kept, in seconds of Unix time: who never logged in may have done so before.
    #[serde(default)]
    pub began: u32,
    /// The mailboxes, whole, the oldest change first.
    pub logins: Vec<Login>,
}

/// A mailbox on the disk and in memory.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(super) struct Kept {
    /// Whose log-ins they are: at another owner's first one they are forgotten.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    owner: Box<str>,
    #[serde(flatten)]
    account: Account,
    /// Macs of sources, with their last log-ins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<(u64, u32)>,
}

/// What is noted of a mailbox.
#[derive(Clone, Copy)]
pub(super) enum Note<'a> {
    /// A log-in.
    Login {
        protocol: Protocol,
        /// The app password.
        app: Option<&'a str>,
        /// The mac of the source.
        source: Option<u64>,
    },
    /// A message was accepted.
    Sent,
}

pub(super) struct Accounts {
    epoch: String,
    began: u32,
    last: u64,
    kept: HashMap<Arc<str>, (u64, Kept)>,
    order: BTreeMap<u64, Arc<str>>,
    dirty: bool,
}

impl Accounts {
    pub(super) fn new(began: u32, kept: impl IntoIterator<Item = (String, Kept)>) -> Self {
        let (kept_now, order) = (HashMap::new(), BTreeMap::new());
        let mut accounts = Self { epoch: epoch(), began, last: 0, kept: kept_now, order, dirty: false };
        for (address, kept) in kept {
            accounts.last += 1;
            let address: Arc<str> = address.into();
            accounts.order.insert(accounts.last, address.clone());
            accounts.kept.insert(address, (accounts.last, kept));
        }
        accounts
    }

    pub(super) fn has(&self, address: &str) -> bool {
        self.kept.contains_key(address)
    }

    pub(super) fn record(&mut self, address: &str, owner: &str, note: Note, now: u32) {
        let address: Arc<str> =
            self.kept.get_key_value(address).map_or_else(|| address.into(), |(key, _)| key.clone());
        let (sequence, kept) = self.kept.entry(address.clone()).or_default();
        if *kept.owner != *owner {
            // One that is not named is of a release that did not.
            let old = std::mem::take(kept);
            *kept = if old.owner.is_empty() { old } else { Kept::default() };
            kept.owner = owner.into();
            self.dirty = true;
        }
        let changed = match note {
            Note::Sent => renew_time(kept.account.sent.get_or_insert_default(), now),
            Note::Login { protocol, app, source } => {
                if let Some(source) = source {
                    self.dirty |= renew(&mut kept.sources, source, now);
                }
                let changed = renew_time(kept.account.protocols.entry(protocol).or_default(), now);
                let times = app.map(|app| place(&mut kept.account.apps, app));
                times.is_some_and(|times| renew_time(times.entry(protocol).or_default(), now)) || changed
            }
        };
        if changed {
            self.dirty = true;
            self.last += 1;
            self.order.remove(sequence);
            *sequence = self.last;
            self.order.insert(self.last, address);
        }
    }

    pub(super) fn knows(&self, address: &str, source: u64, now: u32) -> bool {
        self.kept.get(address).is_some_and(|(_, kept)| {
            kept.sources.iter().any(|(known, at)| *known == source && now.saturating_sub(*at) < KNOWN)
        })
    }

    pub(super) fn since(&self, since: u64, limit: usize) -> Page {
        let changed = self.order.range(since.saturating_add(1)..);
        let (mut next, mut logins) = (since.min(self.last), Vec::new());
        for (sequence, address) in changed.take(limit) {
            next = *sequence;
            let Some((_, kept)) = self.kept.get(address) else { continue };
            let (owner, account) = (kept.owner.to_string(), kept.account.clone());
            logins.push(Login { address: address.to_string(), owner, account });
        }
        Page { epoch: self.epoch.clone(), next, more: next < self.last, began: self.began, logins }
    }

    /// Keeps what `keep` says of address and owner.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        let before = self.kept.len();
        self.kept.retain(|address, (_, kept)| keep(address, &kept.owner));
        if self.kept.len() != before {
            self.order.retain(|_, address| self.kept.contains_key(address));
            self.dirty = true;
        }
    }

    /// All, the oldest change first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Kept)> {
        self.order.values().filter_map(|address| Some((address, &self.kept.get(address)?.1)))
    }

    /// Since when log-ins are kept.
    pub(super) const fn began(&self) -> u32 {
        self.began
    }

    pub(super) fn dirty(&mut self) {
        self.dirty = true;
    }

    pub(super) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

/// The times of an app password; where there are too many, those of the one that was not used for longest go.
fn place<'a>(
    apps: &'a mut BTreeMap<String, BTreeMap<Protocol, u32>>,
    app: &str,
) -> &'a mut BTreeMap<Protocol, u32> {
    if apps.len() >= APPS && !apps.contains_key(app) {
        let last = |times: &BTreeMap<Protocol, u32>| times.values().max().copied();
        let oldest = apps.iter().min_by_key(|(_, times)| last(times)).map(|(name, _)| name.clone());
        oldest.and_then(|oldest| apps.remove(&oldest));
    }
    apps.entry(app.to_owned()).or_default()
}

fn renew_time(last: &mut u32, now: u32) -> bool {
    let renew = now.saturating_sub(*last) >= GRAIN;
    if renew {
        *last = now;
    }
    renew
}

/// Remembers a source; the oldest goes. Whether that is worth a write: a day more or less is not.
fn renew(sources: &mut Vec<(u64, u32)>, source: u64, now: u32) -> bool {
    let found = sources.iter().position(|(known, _)| *known == source);
    let before = found.map(|at| sources.remove(at).1);
    if sources.len() >= SOURCES {
        sources.remove(0);
    }
    sources.push((source, now));
    before.is_none_or(|before| now.saturating_sub(before) > KNOWN / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(protocol: Protocol, app: Option<&str>, source: Option<u64>) -> Note<'_> {
        Note::Login { protocol, app, source }
    }

    fn addresses(page: &Page) -> Vec<&str> {
        page.logins.iter().map(|login| &*login.address).collect()
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_and_show_each_mailbox_once_in_its_latest_state() {
        let mut accounts = Accounts::new(7, []);
        for n in 0..5 {
            accounts.record(&format!("u{n}@x.vn"), "u", login(Protocol::Imap, None, None), 1000);
        }
        let first = accounts.since(0, 3);
        assert_eq!((addresses(&first), first.more), (vec!["u0@x.vn", "u1@x.vn", "u2@x.vn"], true));
        accounts.record("u0@x.vn", "u", login(Protocol::Submission, Some("phone"), None), 1010);
        let second = accounts.since(first.next, 3);
        assert_eq!((addresses(&second), second.more), (vec!["u3@x.vn", "u4@x.vn", "u0@x.vn"], false));
        let account = &second.logins[2].account;
        assert_eq!(
            (account.last(Protocol::Imap), account.last(Protocol::Submission)),
            (Some(1000), Some(1010))
        );
        assert_eq!(
            (account.last(Protocol::Pop3), account.apps["phone"][&Protocol::Submission]),
            (None, 1010)
        );
        let end = accounts.since(second.next, 3);
        assert_eq!((end.logins.len(), end.next, end.more), (0, second.next, false));
        accounts.retain(|address, _| address != "u4@x.vn");
        assert_eq!(addresses(&accounts.since(first.next, 9)), ["u3@x.vn", "u0@x.vn"]);
    }

    #[test]
    fn log_ins_within_a_minute_are_one() {
        let mut accounts = Accounts::new(7, []);
        for now in [1000, 1001, 1059] {
            accounts.record("an@x.vn", "u", login(Protocol::Imap, None, Some(1)), now);
        }
        assert_eq!(accounts.since(0, 9).next, 1);
        accounts.record("an@x.vn", "u", login(Protocol::Imap, None, Some(1)), 1060);
        assert_eq!(accounts.since(1, 9).next, 2);
    }

    #[test]
    fn the_app_password_unused_for_longest_is_forgotten_for_a_new_one() {
        let mut accounts = Accounts::new(7, []);
        for n in 0..=u32::try_from(APPS).unwrap() {
            accounts.record(
                "an@x.vn",
                "u",
                login(Protocol::Imap, Some(&format!("app{n}")), None),
                1000 + n * GRAIN,
            );
        }
        let apps = &accounts.since(0, 1).logins[0].account.apps;
        assert!(apps.len() == APPS && !apps.contains_key("app0") && apps.contains_key("app1"));
    }

    #[test]
    fn the_latest_sources_are_known_for_some_weeks() {
        let mut accounts = Accounts::new(7, []);
        for source in 0..10 {
            accounts.record("an@x.vn", "u", login(Protocol::Imap, None, Some(source)), 1000);
            accounts.record("an@x.vn", "u", login(Protocol::Imap, None, Some(0)), 1000);
        }
        assert!(accounts.knows("an@x.vn", 0, 1000) && accounts.knows("an@x.vn", 9, 1000));
        assert!(!accounts.knows("an@x.vn", 1, 1000) && !accounts.knows("an@x.vn", 0, 1000 + KNOWN));
    }

    #[test]
    fn what_is_sent_is_noted_beside_log_ins_and_another_owner_begins_anew() {
        let mut accounts = Accounts::new(7, []);
        accounts.record("an@x.vn", "u1", login(Protocol::Imap, None, Some(1)), 1000);
        accounts.record("an@x.vn", "u1", Note::Sent, 1100);
        accounts.record("an@x.vn", "u1", Note::Sent, 1130);
        let page = accounts.since(0, 9);
        let told = &page.logins[0];
        assert_eq!((told.owner.as_str(), told.account.sent, page.next, page.began), ("u1", Some(1100), 2, 7));
        assert_eq!(told.account.last(Protocol::Imap), Some(1000));
        accounts.record("an@x.vn", "u2", Note::Sent, 1140);
        let told = &accounts.since(0, 9).logins[0];
        assert_eq!((told.owner.as_str(), told.account.last(Protocol::Imap)), ("u2", None));
        assert!(!accounts.knows("an@x.vn", 1, 1140), "a predecessor's home is nobody's");
        accounts.retain(|_, owner| owner == "u1");
        assert!(accounts.since(0, 9).logins.is_empty());
    }
}
