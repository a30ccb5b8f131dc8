//! Who may write to a group: pure functions of the directory, for the policy at `RCPT` and for the gate.
//!
//! People of the system are who they logged in as; what a message says of itself does not count. Of those outside only an
//! address is known at `RCPT`, which anybody can write there: it is let pass to the gate, which wants a proof.

use std::sync::Arc;

use super::directory::{Found, Replica};
use crate::{
    api::Posting,
    directory::{Group, domain_of, fold},
};

/// The group that a recipient, as a client typed it, is, if not everybody may write to it.
#[must_use]
pub fn restricted(directory: &Replica, recipient: &[u8]) -> Option<Arc<Group>> {
    let address = std::str::from_utf8(recipient).ok().and_then(|recipient| fold(recipient).ok())?;
    if !matches!(directory.reach(&address), Ok(None)) {
        return None;
    }
    directory.group(&address).filter(|group| group.posting != Posting::Anyone)
}

/// Whether the people of a mailbox may write to the group.
#[must_use]
pub fn admits(directory: &Replica, group: &Group, mailbox: &Found) -> bool {
    let own = &mailbox.address;
    let namespace = || mailbox.entry.object.split_once('/').map(|(namespace, _)| namespace);
    let by_kind = match group.posting {
        Posting::Anyone | Posting::System => true,
        Posting::Organisation => namespace() == Some(group.namespace()),
        Posting::Members => group.reaches(own),
        Posting::Listed => false,
    };
    let named = |sender: &String| match sender.strip_prefix('@') {
        Some(domain) => domain == domain_of(own),
        None => match directory.find(sender) {
            Some(found) => found.address == *own,
            None => directory.group(sender).is_some_and(|group| group.reaches(own)),
        },
    };
    by_kind || group.senders.iter().any(named)
}

/// Whether this address (folded) outside the system may write to the group, if it is proven to be the sender's.
#[must_use]
pub fn invites(directory: &Replica, group: &Group, address: &str) -> bool {
    if directory.has_domain(domain_of(address)) {
        return false;
    }
    let through = |sender: &String| directory.group(sender).is_some_and(|group| group.reaches(address));
    group.lists(address)
        || group.posting == Posting::Members && group.reaches(address)
        || group.senders.iter().any(through)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::directory::{Offer, testing};
    use super::*;
    use crate::{
        api::MailboxState,
        directory::{Entry, MailboxEntry, Shard, Share},
    };

    /// `an@x.vn` of namespace `a` with the alias `van-thu@x.vn`, `binh@x.vn` of namespace `b`, `chi@x.vn` as which `an@x.vn`
    /// may send; the group `nhom@x.vn` of namespace `a` with this posting and these senders, which reaches `an@x.vn` and
    /// `dan@example.com`, with the alias `n@x.vn`; and `lanh-dao@x.vn`, which reaches `binh@x.vn`, with the alias `l@x.vn`.
    pub(crate) fn replica(posting: Posting, senders: &[&str]) -> Replica {
        let mailbox = |object: &str, shares: Vec<Share>| {
            let state = MailboxState::Active;
            Entry::Mailbox(MailboxEntry { object: object.into(), state, shares, ..MailboxEntry::default() })
        };
        let an = Share { address: "an@x.vn".into(), rights: [crate::api::MemberRight::SendAs].into() };
        let entries = [
            ("an@x.vn", mailbox("a/an", vec![])),
            ("van-thu@x.vn", Entry::Alias("an@x.vn".into())),
            ("n@x.vn", Entry::Alias("nhom@x.vn".into())),
            ("l@x.vn", Entry::Alias("lanh-dao@x.vn".into())),
            ("binh@x.vn", mailbox("b/binh", vec![])),
            ("chi@x.vn", mailbox("b/chi", vec![an])),
        ];
        let group = |posting, recipients: &[&str], senders: &[&str]| Group {
            object: "a/nhom".into(),
            posting,
            recipients: recipients.iter().map(ToString::to_string).collect(),
            senders: senders.iter().map(ToString::to_string).collect(),
            ..Group::default()
        };
        let groups = [
            ("nhom@x.vn", group(posting, &["an@x.vn", "dan@example.com"], senders)),
            ("lanh-dao@x.vn", group(Posting::Anyone, &["binh@x.vn"], &[])),
        ];
        let shard = Shard {
            entries: entries.map(|(address, entry)| (address.to_owned(), entry)).into(),
            groups: groups.map(|(address, group)| (address.to_owned(), group)).into(),
            ..Shard::default()
        };
        let replica = testing::empty();
        testing::fill(&replica);
        assert_eq!(replica.offer_shard(1, 0, 2, shard), Offer::Taken);
        replica
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `an@x.vn`, `binh@x.vn`, and `dan@example.com` (proven) may write.
    fn who(posting: Posting, senders: &[&str]) -> [bool; 3] {
        let replica = testing::replica(posting, senders);
        let group = replica.group("nhom@x.vn").unwrap();
        let inside = |address| admits(&replica, &group, &replica.find(address).unwrap());
        [inside("an@x.vn"), inside("binh@x.vn"), invites(&replica, &group, "dan@example.com")]
    }

    #[test]
    fn each_kind_of_posting_admits_whom_it_says() {
        assert_eq!(who(Posting::System, &[]), [true, true, false]);
        assert_eq!(who(Posting::Organisation, &[]), [true, false, false]);
        assert_eq!(who(Posting::Members, &[]), [true, false, true]);
        assert_eq!(who(Posting::Listed, &[]), [false; 3]);
    }

    #[test]
    fn who_is_named_may_write_by_any_of_its_addresses_its_domain_or_a_group() {
        assert_eq!(who(Posting::Listed, &["van-thu@x.vn"]), [true, false, false]);
        assert_eq!(who(Posting::Listed, &["lanh-dao@x.vn"]), [false, true, false]);
        assert_eq!(who(Posting::Listed, &["l@x.vn"]), [false, true, false]);
        assert_eq!(who(Posting::Listed, &["@x.vn"]), [true, true, false]);
        assert_eq!(who(Posting::Listed, &["@example.com"]), [false, false, true]);
        assert_eq!(who(Posting::Organisation, &["dan@example.com"]), [true, false, true]);
    }

    #[test]
    fn nobody_outside_is_one_of_ours() {
        let replica = testing::replica(Posting::Members, &["@x.vn", "binh@x.vn"]);
        let group = replica.group("nhom@x.vn").unwrap();
        for address in ["an@x.vn", "binh@x.vn", "nobody@x.vn", ""] {
            assert!(!invites(&replica, &group, address), "{address}");
        }
    }

    #[test]
    fn only_a_group_that_is_not_open_to_everybody_is_restricted() {
        let replica = testing::replica(Posting::System, &[]);
        for recipient in ["Nhom@X.vn", "\"nhom\"@x.vn", "nhom+viec@x.vn", "N@x.vn", "n+viec@x.vn"] {
            assert!(restricted(&replica, recipient.as_bytes()).is_some(), "{recipient}");
        }
        for recipient in ["an@x.vn", "lanh-dao@x.vn", "l@x.vn", "nobody@x.vn", "nhom", "\u{ff}"] {
            assert!(restricted(&replica, recipient.as_bytes()).is_none(), "{recipient}");
        }
    }
}
