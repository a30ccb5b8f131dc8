//! What Cyrus has: its mailboxes by address, and where the mail of each owner is. Pure.

use std::collections::HashMap;

use crate::directory::Share;

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

/// What Cyrus has under an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Have {
    /// Whose mail it is, as recorded in Cyrus; none if nobody has recorded it.
    pub owner: Option<Box<str>>,
    /// Whether there is a folder, of whatever name. A mailbox without any has not been furnished; one with some is its
    /// owner's business, who may have renamed or deleted what we made.
    pub furnished: bool,
    /// Its quota.
    pub quota: Quota,
    /// Who else may see it, as it was last brought in line with the directory; none if that has to be looked at.
    pub shares: Option<Vec<Share>>,
    /// Whether its members know it under another name than it has.
    pub renamed: bool,
}

/// All that Cyrus has. No two mailboxes are one owner's: the plan sees to that.
#[derive(Debug, Default)]
pub struct Inventory {
    mailboxes: HashMap<String, Have>,
    places: HashMap<Box<str>, String>,
}

impl Inventory {
    /// What is under this address.
    #[must_use]
    pub fn get(&self, address: &str) -> Option<&Have> {
        self.mailboxes.get(address)
    }

    /// The address under which this owner's mail is.
    #[must_use]
    pub fn place_of(&self, owner: &str) -> Option<&str> {
        self.places.get(owner).map(String::as_str)
    }

    /// Notes what is under an address.
    pub fn insert(&mut self, address: &str, have: Have) {
        self.remove(address);
        if let Some(owner) = &have.owner {
            self.places.insert(owner.clone(), address.to_owned());
        }
        self.mailboxes.insert(address.to_owned(), have);
    }

    /// Notes that nothing is under an address. Returns what was.
    pub fn remove(&mut self, address: &str) -> Option<Have> {
        let have = self.mailboxes.remove(address)?;
        if let Some(owner) = &have.owner
            && self.places.get(owner).is_some_and(|place| place == address)
        {
            self.places.remove(owner);
        }
        Some(have)
    }

    /// Notes that a mailbox was renamed.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(have) = self.remove(from) {
            self.insert(to, Have { shares: None, renamed: true, ..have });
        }
    }

    /// Changes what is known of an address.
    pub fn change(&mut self, address: &str, change: impl FnOnce(&mut Have)) {
        if let Some(mut have) = self.remove(address) {
            change(&mut have);
            self.insert(address, have);
        }
    }

    /// Every address with what is under it.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Have)> {
        self.mailboxes.iter()
    }

    /// Number of mailboxes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mailboxes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(owner: &str) -> Have {
        Have { owner: Some(owner.into()), ..Have::default() }
    }

    #[test]
    fn an_owners_mail_is_found_wherever_it_was_moved() {
        let mut inventory = Inventory::default();
        inventory.insert("a@x", of("u1"));
        inventory.rename("a@x", "b@x");
        assert_eq!((inventory.place_of("u1"), inventory.get("a@x")), (Some("b@x"), None));
        inventory.change("b@x", |have| have.owner = Some("u2".into()));
        assert_eq!((inventory.place_of("u1"), inventory.place_of("u2")), (None, Some("b@x")));
        inventory.insert("b@x", of("u3"));
        assert_eq!((inventory.place_of("u2"), inventory.place_of("u3")), (None, Some("b@x")));
        inventory.remove("b@x");
        assert_eq!((inventory.place_of("u3"), inventory.len()), (None, 0));
    }
}
