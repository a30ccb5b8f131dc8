//! Who may see a mailbox besides its owner: Cyrus' access lists against what the directory says. Pure.
//!
//! Lists of a mailbox's folders come in, the administrator's commands go out. An identifier that the directory does not
//! name is taken away, whoever gave it: an access list is of addresses, and whoever has an address next would inherit it.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::password::ADMIN, names::MailboxName};
use crate::{api::MemberRight, directory::Share, wire::imap::Command};

/// Rights (RFC 4314) to see, read, and keep one's own marks of what was read.
const READ: &str = "lrs";
/// The same; to mark, file, delete, and make folders. Not to give rights to others.
const WRITE: &str = "lrswipkxte";

/// Everybody may post, so that mail for `an+viec@x.vn` gets into the folder `viec`. It gives nothing to be seen.
pub const ANYONE: (&str, &str) = ("anyone", "p");

/// A folder, and what each identifier may do in it.
pub type Lists = BTreeMap<String, BTreeMap<String, String>>;

/// What is to be done, and whose rights grow or shrink by it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The administrator's commands.
    pub commands: Vec<Command>,
    /// Who sees the mailbox from now on.
    pub gained: BTreeSet<String>,
    /// Who may do less than before.
    pub lost: BTreeSet<String>,
}

/// The rights in Cyrus; none for a member who may only send.
fn rights(share: &Share) -> Option<&'static str> {
    if share.rights.contains(&MemberRight::Write) {
        Some(WRITE)
    } else {
        share.rights.contains(&MemberRight::Read).then_some(READ)
    }
}

/// Cyrus adds `c` and `d`, which stand for others (RFC 4314, 2.1.1).
fn set(rights: &str) -> BTreeSet<char> {
    rights.chars().filter(|right| !"cd".contains(*right)).collect()
}

/// The changes after which `lists`, of the mailbox of `address`, say what `shares` say.
#[must_use]
pub fn changes(address: &str, shares: &[Share], lists: &Lists) -> Changes {
    let members = shares.iter().filter_map(|share| Some((share.address.as_str(), rights(share)?)));
    let wanted: BTreeMap<&str, &str> = members.chain([ANYONE]).collect();
    let mut changes = Changes::default();
    for (folder, list) in lists {
        for (member, rights) in &wanted {
            let has = list.get(*member).map(|rights| set(rights)).unwrap_or_default();
            let wants = set(rights);
            if has == wants {
                continue;
            }
            let of = if has.is_subset(&wants) { &mut changes.gained } else { &mut changes.lost };
            if *member != ANYONE.0 {
                of.insert((*member).to_owned());
            }
            let command = Command::new("SETACL").string(folder.as_bytes()).string(member.as_bytes());
            changes.commands.push(command.raw(rights));
        }
        for other in list.keys().filter(|id| is_foreign(id, address) && !wanted.contains_key(id.as_str())) {
            changes.lost.insert(other.clone());
            let command = Command::new("DELETEACL").string(folder.as_bytes());
            changes.commands.push(command.string(other.as_bytes()));
        }
    }
    changes
}

/// Whether the access list of a folder of `address` says nothing of others but what everybody may do.
#[must_use]
pub fn is_private(list: &BTreeMap<String, String>, address: &str) -> bool {
    let (anyone, post) = ANYONE;
    list.get(anyone).is_some_and(|rights| set(rights) == set(post))
        && list.keys().all(|id| id == anyone || !is_foreign(id, address))
}

/// Whether the identifier is neither the owner's nor the administrator's.
fn is_foreign(identifier: &str, address: &str) -> bool {
    identifier != address && identifier != ADMIN
}

/// The patterns of `LIST` for a mailbox and for its folders.
#[must_use]
pub fn patterns(name: &MailboxName<'_>) -> [String; 2] {
    [name.inbox(), name.folder("*")]
}

/// Under which name a member sees a folder of the mailbox of this address; none if the folder is another's.
#[must_use]
pub fn seen_as(folder: &str) -> Option<String> {
    let (path, domain) = folder.strip_prefix("user/")?.rsplit_once('@')?;
    Some(match path.split_once('/') {
        Some((local, folder)) => format!("Other Users/{local}@{domain}/{folder}"),
        None => format!("Other Users/{path}@{domain}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(address: &str, rights: &[MemberRight]) -> Share {
        Share { address: address.into(), rights: rights.iter().copied().collect() }
    }

    fn lists(folders: &[(&str, &[(&str, &str)])]) -> Lists {
        let list = |list: &[(&str, &str)]| {
            list.iter().map(|(id, rights)| ((*id).to_owned(), (*rights).to_owned())).collect()
        };
        folders.iter().map(|(folder, ids)| ((*folder).to_owned(), list(ids))).collect()
    }

    fn names(of: &BTreeSet<String>) -> Vec<&str> {
        of.iter().map(String::as_str).collect()
    }

    #[test]
    fn members_get_their_rights_in_every_folder_and_others_lose_theirs() {
        let owner = ("vt@x.vn", "lrswipkxtecdan");
        let have = lists(&[
            ("user/vt@x.vn", &[owner, ("anyone", "lrs"), ("an@x.vn", "lrs"), ("old@x.vn", "lrs")]),
            ("user/vt/Sent@x.vn", &[owner, ("cyrus", "lrswipkxtecdan")]),
        ]);
        let shares = [
            share("an@x.vn", &[MemberRight::Read]),
            share("binh@y.vn", &[MemberRight::Write]),
            share("chi@x.vn", &[MemberRight::SendAs]),
        ];
        let changes = changes("vt@x.vn", &shares, &have);
        let set = |folder: &str, id: &str, rights: &str| {
            Command::new("SETACL").string(folder.as_bytes()).string(id.as_bytes()).raw(rights)
        };
        let expected = [
            set("user/vt/Sent@x.vn", "an@x.vn", "lrs"),
            set("user/vt/Sent@x.vn", "anyone", "p"),
            set("user/vt/Sent@x.vn", "binh@y.vn", WRITE),
            set("user/vt@x.vn", "anyone", "p"),
            set("user/vt@x.vn", "binh@y.vn", WRITE),
            Command::new("DELETEACL").string(b"user/vt@x.vn").string(b"old@x.vn"),
        ];
        assert_eq!(changes.commands, expected);
        assert_eq!(
            (names(&changes.gained), names(&changes.lost)),
            (vec!["an@x.vn", "binh@y.vn"], vec!["old@x.vn"])
        );
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone_and_less_than_before_is_a_loss() {
        let have = lists(&[(
            "user/vt@x.vn",
            &[("vt@x.vn", "lrswipkxtecdan"), ("an@x.vn", "lrswipkxtecd"), ("anyone", "p")],
        )]);
        let write = [share("an@x.vn", &[MemberRight::Read, MemberRight::Write])];
        assert_eq!(changes("vt@x.vn", &write, &have), Changes::default());
        let read = changes("vt@x.vn", &[share("an@x.vn", &[MemberRight::Read])], &have);
        assert_eq!((names(&read.lost), read.commands.len(), read.gained.len()), (vec!["an@x.vn"], 1, 0));
        let none = changes("vt@x.vn", &[], &have);
        assert_eq!((names(&none.lost), none.commands.len()), (vec!["an@x.vn"], 1));
    }

    #[test]
    fn members_see_it_under_the_other_users() {
        assert_eq!(seen_as("user/vt@x.vn").as_deref(), Some("Other Users/vt@x.vn"));
        assert_eq!(seen_as("user/vt/Sent/2026@x.vn").as_deref(), Some("Other Users/vt@x.vn/Sent/2026"));
        assert_eq!(seen_as("shared"), None);
    }
}
