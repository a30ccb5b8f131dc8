//! What is to be done so that Cyrus agrees with the directory. Pure.
//!
//! What the directory wants and what Cyrus has come in, steps go out. A mailbox is its owner's: the uid recorded in Cyrus
//! decides, not the name. Mail of another owner is never made available under an address; it moves out of the way if
//! the directory says that it is retired, and otherwise stays where it is. Only what the directory says to purge is
//! deleted.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    inventory::{Have, Inventory, Quota},
    names::{MailboxName, retired_address},
    shares::ANYONE,
    state::Failure,
};
use crate::{
    directory::{MailboxEntry, Retired},
    wire::imap::Command,
};

/// The annotation that records the owner. Private to the administrator: the mailbox's user sees another value under
/// this name, and can change only that.
pub const OWNER: &str = "/private/comment";
/// Recorded as owner where mail was found that no Mailbox claims.
pub const NOBODY: &str = "nobody";

/// A folder that every mailbox begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name, also in the client's list: clients translate by use, not by name.
    pub name: &'static str,
    /// Its use (RFC 6154).
    pub special_use: &'static str,
}

/// The folders that every mailbox begins with.
pub const FOLDERS: [Folder; 4] = [
    Folder { name: "Drafts", special_use: "\\Drafts" },
    Folder { name: "Sent", special_use: "\\Sent" },
    Folder { name: "Junk", special_use: "\\Junk" },
    Folder { name: "Trash", special_use: "\\Trash" },
];

/// One change of what there is under an address. One must be done before the next is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Make the mailbox.
    Create(String),
    /// Record the owner of the mailbox.
    Own(String, String),
    /// Give the mailbox of the first address, with all that belongs to it, the second.
    Rename(String, String),
    /// Let the administrator delete the mailbox, and delete it.
    Delete(String),
}

impl Move {
    /// The administrator's commands for it; none if Cyrus cannot keep a mailbox of such a name.
    #[must_use]
    pub fn commands(&self) -> Option<Vec<Command>> {
        let inbox = |address: &str| Some(MailboxName::of(address)?.inbox());
        Some(match self {
            Self::Create(address) => {
                let inbox = inbox(address)?;
                let post = Command::new("SETACL")
                    .string(inbox.as_bytes())
                    .raw(&format!("{} {}", ANYONE.0, ANYONE.1));
                vec![Command::new("CREATE").string(inbox.as_bytes()), post]
            }
            Self::Own(address, owner) => vec![record(&inbox(address)?, owner)],
            Self::Rename(from, to) => {
                vec![Command::new("RENAME").string(inbox(from)?.as_bytes()).string(inbox(to)?.as_bytes())]
            }
            Self::Delete(address) => {
                let inbox = inbox(address)?;
                let rights = Command::new("SETACL").string(inbox.as_bytes()).raw("cyrus lrswipkxtecdan");
                vec![rights, Command::new("DELETE").string(inbox.as_bytes())]
            }
        })
    }

    /// Whether it concerns mail that is there already.
    #[must_use]
    pub const fn is_of_mail(&self) -> bool {
        matches!(self, Self::Rename(..) | Self::Delete(_))
    }
}

/// The command that records the owner of the mailbox of this name; of the server itself if the name is empty.
#[must_use]
pub fn record(inbox: &str, owner: &str) -> Command {
    let command = Command::new("SETMETADATA").string(inbox.as_bytes());
    command.raw(&format!("({OWNER} \"{}\")", owner.replace(['"', '\\'], "")))
}

/// One thing to do in a mailbox that is where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set the quota to this many KiB.
    SetQuota(u64),
    /// Make a folder.
    Furnish(Folder),
    /// Subscribe the owner to the mailbox and [`FOLDERS`]; only the owner can.
    Subscribe,
    /// Let its members see it, and nobody else.
    Share,
}

impl Step {
    /// The administrator's command for it; none for what the owner does, or what depends on what is found.
    #[must_use]
    pub fn command(self, name: &MailboxName<'_>) -> Option<Command> {
        Some(match self {
            Self::SetQuota(kib) => {
                Command::new("SETQUOTA").string(name.inbox().as_bytes()).raw(&format!("(STORAGE {kib})"))
            }
            Self::Furnish(folder) => Command::new("CREATE")
                .string(name.folder(folder.name).as_bytes())
                .raw(&format!("(USE ({}))", folder.special_use)),
            Self::Subscribe | Self::Share => return None,
        })
    }
}

/// The moves after which the mail of `wanted` is under `address`; none if it is there. `is_retired` says of an owner that
/// its mail is to be out of the way.
///
/// # Errors
/// It cannot be, as long as the directory wants the same and Cyrus has the same.
pub fn moves(
    address: &str,
    wanted: &MailboxEntry,
    have: &Inventory,
    is_retired: impl Fn(&str) -> bool,
) -> Result<Vec<Move>, Failure> {
    let (own, here) = (|| Move::Own(address.to_owned(), wanted.uid.clone()), address.to_owned());
    let occupant = have.get(address);
    if wanted.uid.is_empty() {
        return Ok(if occupant.is_some() { Vec::new() } else { vec![Move::Create(here)] });
    }
    let elsewhere = have.place_of(&wanted.uid).filter(|place| *place != address);
    let mut moves = Vec::new();
    match occupant.map(|have| have.owner.as_deref()) {
        Some(Some(owner)) if *owner == *wanted.uid => {
            let waits = wanted.heir_of.as_deref().is_some_and(|former| have.place_of(former).is_some());
            return if waits { Err(Failure::HasMail) } else { Ok(moves) };
        }
        // Ours, interrupted before it was recorded; or of a time before owners were recorded.
        Some(None) if elsewhere.is_none() => return Ok(vec![own()]),
        Some(Some(owner)) if elsewhere.is_none() && inherits(wanted, owner) => return Ok(vec![own()]),
        Some(Some(owner)) if is_retired(owner) => moves.push(Move::Rename(here, retired_address(owner))),
        Some(_) => return Err(Failure::OtherOwner),
        None => {}
    }
    let heir_of = wanted.heir_of.as_deref();
    match (elsewhere, heir_of.map(|former| have.place_of(former))) {
        (Some(place), _) => moves.push(Move::Rename(place.to_owned(), address.to_owned())),
        (None, Some(Some(place))) => moves.extend([
            Move::Own(place.to_owned(), wanted.uid.clone()),
            Move::Rename(place.to_owned(), address.to_owned()),
        ]),
        (None, Some(None)) => return Err(Failure::NothingToRestore),
        (None, None) => moves.extend([Move::Create(address.to_owned()), own()]),
    }
    Ok(moves)
}

fn inherits(wanted: &MailboxEntry, owner: &str) -> bool {
    wanted.adopt || wanted.heir_of.as_deref() == Some(owner)
}

/// The moves after which the mail of `uid` is out of the way, or gone if it is to be purged.
#[must_use]
pub fn retirement(uid: &str, retired: &Retired, have: &Inventory) -> Vec<Move> {
    let (Some(place), home) = (have.place_of(uid), retired_address(uid)) else { return Vec::new() };
    let mut moves = Vec::new();
    if place != home {
        moves.push(Move::Rename(place.to_owned(), home.clone()));
    }
    if retired.purge {
        moves.push(Move::Delete(home));
    }
    moves
}

/// Whether somebody may still see mail that is out of the way.
#[must_use]
pub fn is_seen(have: &Inventory, home: &str) -> bool {
    have.get(home).is_some_and(|have| have.shares.as_deref() != Some(&[]))
}

/// The steps for a mailbox that is where it belongs; none if Cyrus agrees.
#[must_use]
pub fn steps(wanted: &MailboxEntry, have: &Have) -> Vec<Step> {
    let mut steps = Vec::new();
    let quota = wanted.quota.div_ceil(1024);
    if have.quota != Quota::Unknown && have.quota != Quota::Kib(quota) {
        steps.push(Step::SetQuota(quota));
    }
    if !have.furnished {
        steps.extend(FOLDERS.map(Step::Furnish));
        steps.push(Step::Subscribe);
    }
    if have.shares.as_deref() != Some(&wanted.shares) {
        steps.push(Step::Share);
    }
    steps
}

/// What the directory wants of a store.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Mailboxes by address.
    pub mailboxes: BTreeMap<String, Arc<MailboxEntry>>,
    /// Mail that is kept out of the way, by uid.
    pub retired: BTreeMap<String, Arc<Retired>>,
}

/// The addresses for which there is something to do: those without a mailbox first; mail that is to be out of the way
/// stands under the address where it is to be.
#[must_use]
pub fn disagreements(wanted: &Wanted, have: &Inventory) -> Vec<String> {
    let mut owners = HashSet::new();
    // Between two parts of the directory an owner may stand in both, or in none: what stands in two waits.
    let twice: HashSet<_> = wanted
        .mailboxes
        .values()
        .filter(|entry| !entry.uid.is_empty() && !owners.insert(&entry.uid))
        .map(|entry| &entry.uid)
        .collect();
    let heirs: HashSet<_> = wanted.mailboxes.values().filter_map(|entry| entry.heir_of.as_deref()).collect();
    let (mut missing, mut others) = (Vec::new(), Vec::new());
    for (address, entry) in wanted.mailboxes.iter().filter(|(_, entry)| !twice.contains(&entry.uid)) {
        let moves = moves(address, entry, have, |owner| wanted.retired.contains_key(owner));
        match have.get(address) {
            _ if !moves.is_ok_and(|moves| moves.is_empty()) => missing.push(address.clone()),
            Some(found) if !steps(entry, found).is_empty() => others.push(address.clone()),
            _ => {}
        }
    }
    missing.append(&mut others);
    let retired = wanted.retired.iter().filter(|(uid, retired)| {
        !owners.contains(uid)
            && !heirs.contains(uid.as_str())
            && (!retirement(uid, retired, have).is_empty() || is_seen(have, &retired_address(uid)))
    });
    missing.extend(retired.map(|(uid, _)| retired_address(uid)));
    missing
}
