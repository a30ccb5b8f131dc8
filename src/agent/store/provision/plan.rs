//! What is to be done so that Cyrus agrees with the directory. Pure.
//!
//! What the directory wants and what Cyrus has come in, steps go out. No step deletes or renames: a mailbox that the
//! directory no longer has stays where it is, and nobody reaches it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::names::MailboxName;
use crate::{directory::MailboxEntry, wire::imap::Command};

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

/// What is known of a mailbox's quota in Cyrus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quota {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It has none.
    None,
    /// This many KiB.
    Kib(u64),
}

/// What Cyrus has of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Have {
    /// Whether there is a folder, of whatever name. A mailbox without any has not been furnished; one with some is its
    /// owner's business, who may have renamed or deleted what we made.
    pub furnished: bool,
    /// Its quota.
    pub quota: Quota,
}

/// All that Cyrus has, by address.
pub type Inventory = HashMap<String, Have>;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the mailbox. Refused if it exists: the quota's answer tells whether all is well.
    Create,
    /// Set the quota to this many KiB.
    SetQuota(u64),
    /// Make a folder.
    Furnish(Folder),
    /// Subscribe the owner to the mailbox and [`FOLDERS`]; only the owner can.
    Subscribe,
}

impl Step {
    /// The administrator's command for it; none for what the owner does.
    #[must_use]
    pub fn command(self, name: &MailboxName<'_>) -> Option<Command> {
        let inbox = name.inbox();
        Some(match self {
            Self::Create => Command::new("CREATE").string(inbox.as_bytes()),
            Self::SetQuota(kib) => {
                Command::new("SETQUOTA").string(inbox.as_bytes()).raw(&format!("(STORAGE {kib})"))
            }
            Self::Furnish(folder) => Command::new("CREATE")
                .string(name.folder(folder.name).as_bytes())
                .raw(&format!("(USE ({}))", folder.special_use)),
            Self::Subscribe => return None,
        })
    }
}

/// The steps for one mailbox; none if Cyrus agrees.
#[must_use]
pub fn steps(wanted: &MailboxEntry, have: Option<Have>) -> Vec<Step> {
    let mut steps = Vec::new();
    if have.is_none() {
        steps.push(Step::Create);
    }
    let quota = wanted.quota.div_ceil(1024);
    if !matches!(have.map(|have| have.quota), Some(Quota::Unknown))
        && have.map(|it| it.quota) != Some(Quota::Kib(quota))
    {
        steps.push(Step::SetQuota(quota));
    }
    if !have.is_some_and(|have| have.furnished) {
        steps.extend(FOLDERS.map(Step::Furnish));
        steps.push(Step::Subscribe);
    }
    steps
}

/// The addresses for which there is something to do: those without a mailbox first.
#[must_use]
pub fn disagreements(wanted: &BTreeMap<String, Arc<MailboxEntry>>, have: &Inventory) -> Vec<String> {
    let (mut missing, mut others) = (Vec::new(), Vec::new());
    for (address, entry) in wanted {
        match have.get(address) {
            None => missing.push(address.clone()),
            Some(found) if !steps(entry, Some(*found)).is_empty() => others.push(address.clone()),
            Some(_) => {}
        }
    }
    missing.append(&mut others);
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MailboxState;
    use proptest::prelude::*;

    fn entry(quota: u64) -> MailboxEntry {
        MailboxEntry { store: 0, state: MailboxState::Active, quota, credential: None }
    }

    fn have(furnished: bool, quota: Quota) -> Have {
        Have { furnished, quota }
    }

    #[test]
    fn each_difference_has_its_steps() {
        let furnish: Vec<_> = FOLDERS.map(Step::Furnish).into_iter().chain([Step::Subscribe]).collect();
        let all = [vec![Step::Create, Step::SetQuota(2048)], furnish.clone()].concat();
        for (found, expected) in [
            (None, all),
            (Some(have(true, Quota::Kib(2048))), vec![]),
            (Some(have(true, Quota::Kib(1))), vec![Step::SetQuota(2048)]),
            (Some(have(true, Quota::None)), vec![Step::SetQuota(2048)]),
            (Some(have(true, Quota::Unknown)), vec![]),
            (Some(have(false, Quota::Kib(2048))), furnish.clone()),
            (Some(have(false, Quota::Unknown)), furnish.clone()),
            (Some(have(false, Quota::None)), [vec![Step::SetQuota(2048)], furnish].concat()),
        ] {
            assert_eq!(steps(&entry(2 << 20), found), expected, "{found:?}");
        }
    }

    #[test]
    fn a_quota_is_rounded_up_to_whole_kibibytes() {
        assert!(steps(&entry(1025), None).contains(&Step::SetQuota(2)));
    }

    #[test]
    fn what_the_directory_does_not_know_is_left_alone_and_what_is_missing_comes_first() {
        let wanted = [("a@x", 1024), ("b@x", 1024), ("c@x", 1024)];
        let wanted = wanted.map(|(address, quota)| (address.to_owned(), Arc::new(entry(quota)))).into();
        let found = [("a@x", Quota::None), ("c@x", Quota::Kib(1)), ("gone@x", Quota::None)];
        let found =
            found.map(|(address, quota)| (address.to_owned(), Have { furnished: true, quota })).into();
        assert_eq!(disagreements(&wanted, &found), ["b@x", "a@x"]);
    }

    #[test]
    fn commands_name_the_mailbox_of_the_address() {
        let name = MailboxName::of("an@x.vn").unwrap();
        let create = Command::new("CREATE").string(b"user/an@x.vn");
        assert_eq!(Step::Create.command(&name), Some(create));
        let quota = Command::new("SETQUOTA").string(b"user/an@x.vn").raw("(STORAGE 7)");
        assert_eq!(Step::SetQuota(7).command(&name), Some(quota));
        let folder = Command::new("CREATE").string(b"user/an/Junk@x.vn").raw("(USE (\\Junk))");
        assert_eq!(Step::Furnish(FOLDERS[2]).command(&name), Some(folder));
        assert_eq!(Step::Subscribe.command(&name), None);
    }

    proptest! {
        /// After its steps a mailbox is as wanted, whatever it was before.
        #[test]
        fn steps_lead_to_agreement(quota: u32, furnished: bool, kib in proptest::option::of(0_u64..3), exists: bool) {
            let before = exists.then(|| Have { furnished, quota: kib.map_or(Quota::None, Quota::Kib) });
            let wanted = entry(u64::from(quota));
            let mut after = before;
            for step in steps(&wanted, before) {
                let found = after.get_or_insert_default();
                match step {
                    Step::Create => {}
                    Step::SetQuota(kib) => found.quota = Quota::Kib(kib),
                    Step::Furnish(_) | Step::Subscribe => found.furnished = true,
                }
            }
            prop_assert_eq!(steps(&wanted, after), vec![]);
        }
    }
}
