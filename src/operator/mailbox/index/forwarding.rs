//! Where a mailbox's mail goes: from an address in its spec to a mailbox of the same system. Pure.
//!
//! A forward that cannot be followed is not: the mail stays where it was sent to. One mailbox forwards to one, so a loop is
//! found by going on from the mailbox until there is nowhere to go, or for too long.

use std::{collections::HashSet, sync::Arc};

use super::{Index, Key, Mailbox};
use crate::{directory::Forward, names::SystemName};

/// Longest way that mail may be forwarded, in mailboxes.
const MOST: usize = 10;

/// Where a mailbox's mail is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// An address, folded.
    pub to: Arc<str>,
    /// Whether the mailbox gets it, too.
    pub copy: bool,
}

/// Why mail is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardProblem {
    /// The system has no mailbox of this address.
    NotFound(Arc<str>),
    /// The mailbox of this address takes no mail.
    Closed(Arc<str>),
    /// It would come back, or go on for too long, by way of these mailboxes.
    Loop(Vec<Key>),
}

impl Index {
    /// Where the mail of a Mailbox that `name` serves goes, if it is forwarded.
    pub(super) fn forward(&self, key: &Key, name: &SystemName) -> Result<Option<Forward>, ForwardProblem> {
        let Some(wish) = self.mailboxes.get(key).and_then(|mailbox| mailbox.fact.forward.as_ref()) else {
            return Ok(None);
        };
        let target = self.holder(&wish.to, name);
        let Some((target, mailbox)) = target.and_then(|key| Some((key, self.mailboxes.get(key)?))) else {
            return Err(ForwardProblem::NotFound(wish.to.clone()));
        };
        if mailbox.fact.refusal.is_some() {
            return Err(ForwardProblem::Closed(wish.to.clone()));
        }
        let mut way = vec![target.clone()];
        while let Some(next) = way.last().and_then(|at| self.next(at, name)) {
            if next == key || way.len() == MOST {
                return Err(ForwardProblem::Loop(way));
            }
            way.push(next.clone());
        }
        if target == key {
            return Err(ForwardProblem::Loop(way));
        }
        Ok(Some(Forward { to: mailbox.fact.address.to_string(), copy: wish.copy }))
    }

    fn next(&self, key: &Key, name: &SystemName) -> Option<&Key> {
        self.holder(&self.mailboxes.get(key)?.fact.forward.as_ref()?.to, name)
    }

    /// Finds out where mail goes of every Mailbox on whose way something changed.
    pub(super) fn settle_forwards(&mut self) {
        let mut keys: HashSet<Key> = std::mem::take(&mut self.dirty_forwards);
        let mut ahead: Vec<Key> = self.changes.mailboxes.iter().chain(&keys).cloned().collect();
        while let Some(key) = ahead.pop() {
            let Some(Mailbox { fact, .. }) = self.mailboxes.get(&key) else { continue };
            if fact.forward.is_some() {
                keys.insert(key.clone());
            }
            let behind = fact.addresses().filter_map(|address| self.forwarding_to.get(address)).flatten();
            ahead.extend(behind.filter(|behind| keys.insert((*behind).clone())).cloned());
        }
        for key in keys {
            let forward = self.listed_in(&key).and_then(|name| self.forward(&key, &name).ok().flatten());
            let Some(mailbox) = self.mailboxes.get_mut(&key) else { continue };
            self.changes.mailboxes.insert(key.clone());
            if mailbox.forward != forward {
                mailbox.forward = forward;
                self.touch_content(&key);
            }
        }
    }

    /// Notes to where the Mailbox forwards, or that it does no more.
    pub(super) fn link_forward(&mut self, key: &Key, wish: Option<&Wish>, there: bool) {
        let Some(wish) = wish else { return };
        let keys = self.forwarding_to.entry(wish.to.clone()).or_default();
        if there {
            keys.insert(key.clone());
        } else {
            keys.remove(key);
            if keys.is_empty() {
                self.forwarding_to.remove(&wish.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{key, mailbox, meta, served},
        super::*,
        *,
    };
    use crate::directory::{Entry, Refusal};

    fn person(uid: u8, address: &str, to: Option<&str>) -> MailboxFact {
        let forward = to.map(|to| Wish { to: to.into(), copy: true });
        MailboxFact { meta: meta(i64::from(uid), uid), forward, ..mailbox(1, address, &[]) }
    }

    /// Where the mail of each address goes.
    fn ways(index: &mut Index, name: &SystemName) -> Vec<(String, Option<String>)> {
        index.settle();
        index.rewrite(name);
        let shards = index.compile(name).unwrap().shards;
        let all = shards.into_iter().flat_map(|(_, shard)| shard.entries);
        let way = |(address, entry)| match entry {
            Entry::Mailbox(entry) => Some((address, entry.forward.map(|forward| forward.to))),
            Entry::Alias(_) => None,
        };
        all.filter_map(way).collect()
    }

    fn to(of: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        of.iter().map(|(address, to)| ((*address).to_owned(), to.map(str::to_owned))).collect()
    }

    fn problems(index: &Index, n: usize) -> Vec<Problem> {
        index.verdict(&key(n)).unwrap().problems
    }

    #[test]
    fn mail_goes_to_the_mailbox_of_an_address_once_there_is_one() {
        let (mut index, name) = served();
        index.apply_mailbox(&key(0), person(0, "an@x.vn", Some("van-thu@x.vn")));
        assert_eq!(ways(&mut index, &name), to(&[("an@x.vn", None)]));
        assert_eq!(problems(&index, 0), [Problem::Forward(ForwardProblem::NotFound("van-thu@x.vn".into()))]);
        let target = MailboxFact { aliases: ["van-thu@x.vn".into()].into(), ..person(2, "binh@x.vn", None) };
        index.apply_mailbox(&key(2), target.clone());
        assert_eq!(ways(&mut index, &name), to(&[("an@x.vn", Some("binh@x.vn")), ("binh@x.vn", None)]));
        assert_eq!(problems(&index, 0), []);
        index.apply_mailbox(&key(2), MailboxFact { refusal: Some(Refusal::Suspended), ..target.clone() });
        assert_eq!(ways(&mut index, &name)[0].1, None);
        assert_eq!(problems(&index, 0), [Problem::Forward(ForwardProblem::Closed("van-thu@x.vn".into()))]);
        let moved = MailboxFact { address: "binh.le@x.vn".into(), ..target };
        index.apply_mailbox(&key(2), moved);
        assert_eq!(ways(&mut index, &name)[0].1.as_deref(), Some("binh.le@x.vn"));
        index.remove_mailbox(&key(2));
        assert_eq!(ways(&mut index, &name), to(&[("an@x.vn", None)]));
    }

    #[test]
    fn in_a_loop_nobody_forwards_and_each_is_told_until_one_stops() {
        let (mut index, name) = served();
        index.apply_mailbox(&key(0), person(0, "a@x.vn", Some("b@x.vn")));
        index.apply_mailbox(&key(2), person(2, "b@x.vn", Some("c@x.vn")));
        index.apply_mailbox(&key(4), person(4, "c@x.vn", None));
        index.apply_mailbox(&key(6), person(6, "d@x.vn", Some("a@x.vn")));
        let all = [
            ("a@x.vn", Some("b@x.vn")),
            ("b@x.vn", Some("c@x.vn")),
            ("c@x.vn", None),
            ("d@x.vn", Some("a@x.vn")),
        ];
        assert_eq!(ways(&mut index, &name), to(&all));
        index.apply_mailbox(&key(4), person(4, "c@x.vn", Some("a@x.vn")));
        assert!(ways(&mut index, &name).iter().all(|(_, to)| to.is_none()));
        for n in [0, 2, 4, 6] {
            assert!(matches!(*problems(&index, n), [Problem::Forward(ForwardProblem::Loop(_))]), "{n}");
        }
        index.apply_mailbox(&key(4), person(4, "c@x.vn", None));
        assert_eq!(ways(&mut index, &name), to(&all));
    }
}
