//! Where a mailbox's mail goes: from an address in its spec to a mailbox or a group of the same system. Pure.
//!
//! A forward that cannot be followed is not: the mail stays where it was sent to. One mailbox forwards to one address, so a
//! loop is found by going on from the mailbox until there is nowhere to go, or for too long; behind a group all its members
//! are looked at ([`super::ways`]).

use std::sync::Arc;

use super::{Index, Key, Mailbox, ways::Target};
use crate::{directory::Forward, names::SystemName};

/// Longest way that mail may be forwarded, in mailboxes.
pub(super) const MOST: usize = 10;

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
    /// The system has no mailbox or group of this address.
    NotFound(Arc<str>),
    /// The mailbox of this address takes no mail.
    Closed(Arc<str>),
    /// It would come back, or go on for too long, by way of these mailboxes.
    Loop(Vec<Key>),
    /// It would come back by way of the group of this address, or go on for too long.
    GroupLoop(Arc<str>),
    /// The group of this address has members outside the system.
    GroupLeaves(Arc<str>),
    /// The group of this address reaches nobody, or too many.
    GroupWaits(Arc<str>),
}

impl Index {
    /// Where the mail of a Mailbox that `name` serves goes, if it is forwarded.
    pub(super) fn forward(&self, key: &Key, name: &SystemName) -> Result<Option<Forward>, ForwardProblem> {
        let Some(wish) = self.mailboxes.get(key).and_then(|mailbox| mailbox.fact.forward.as_ref()) else {
            return Ok(None);
        };
        let target = self.target(&wish.to, name).ok_or_else(|| ForwardProblem::NotFound(wish.to.clone()))?;
        let to = self.taken(target, &wish.to)?;
        self.follow(key, target, name)?;
        Ok(Some(Forward { to: to.to_string(), copy: wish.copy }))
    }

    /// The own address of what mail may be forwarded to.
    fn taken(&self, target: Target, to: &Arc<str>) -> Result<&Arc<str>, ForwardProblem> {
        match target {
            Target::Mailbox(key) => match self.mailboxes.get(key) {
                Some(mailbox) if mailbox.fact.refusal.is_none() => Ok(&mailbox.fact.address),
                Some(_) => Err(ForwardProblem::Closed(to.clone())),
                None => Err(ForwardProblem::NotFound(to.clone())),
            },
            Target::Group(key) => match self.group(key) {
                Some(group) if group.reach.leaves => Err(ForwardProblem::GroupLeaves(to.clone())),
                Some(group) if group.reach.recipients.is_empty() || group.reach.is_too_large() => {
                    Err(ForwardProblem::GroupWaits(to.clone()))
                }
                Some(group) => Ok(&group.fact.address),
                None => Err(ForwardProblem::NotFound(to.clone())),
            },
        }
    }

    /// Goes on from `target` until there is nowhere to go.
    fn follow(&self, key: &Key, target: Target, name: &SystemName) -> Result<(), ForwardProblem> {
        let (mut way, mut at) = (Vec::new(), Some(target));
        while let Some(next) = at {
            let next = match next {
                Target::Mailbox(next) => next,
                Target::Group(group) if self.comes_back(group, key, name) => {
                    let address = self.group(group).map(|group| group.fact.address.clone());
                    return Err(ForwardProblem::GroupLoop(address.unwrap_or_default()));
                }
                Target::Group(_) => return Ok(()),
            };
            if next == key || way.len() == MOST {
                return Err(ForwardProblem::Loop(if way.is_empty() { vec![key.clone()] } else { way }));
            }
            way.push(next.clone());
            at = self.next(next, name);
        }
        Ok(())
    }

    /// Finds out whether the mail of a Mailbox would come back, after something on its way changed.
    pub(super) fn settle_circle(&mut self, key: &Key) {
        let circles = |name: Arc<SystemName>| {
            let wish = self.mailboxes.get(key)?.fact.forward.as_ref()?;
            Some(self.follow(key, self.target(&wish.to, &name)?, &name).is_err())
        };
        let circles = self.listed_in(key).and_then(circles).unwrap_or_default();
        if let Some(mailbox) = self.mailboxes.get_mut(key) {
            mailbox.circles = circles;
        }
    }

    /// Finds out where the mail of a Mailbox goes, after something on its way changed.
    pub(super) fn settle_forward(&mut self, key: &Key) {
        let wishes = |it: &Mailbox| it.fact.forward.is_some() || it.forward.is_some();
        if !self.mailboxes.get(key).is_some_and(wishes) {
            return;
        }
        let forward = self.listed_in(key).and_then(|name| self.forward(key, &name).ok().flatten());
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        self.changes.mailboxes.insert(key.clone());
        if mailbox.forward != forward {
            mailbox.forward = forward;
            self.touch_content(key);
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
