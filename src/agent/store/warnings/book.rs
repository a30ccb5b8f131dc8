//! What is known of the letters to each owner, and its file: replaced whole or not at all, and synced.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::threshold::{Record, percent};

/// Records by the uid of the owner: what a mailbox was told goes with it to another address, and is not its successor's.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    owners: BTreeMap<Box<str>, Record>,
}

impl Book {
    /// What the file has; nothing if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// As the file has it.
    ///
    /// # Errors
    /// None that is known.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// What is known of an owner's mailbox.
    #[must_use]
    pub fn get(&self, owner: &str) -> Option<&Record> {
        self.owners.get(owner)
    }

    /// The mailbox of `owner` holds so much of its quota. Gives its record if there is something to keep.
    pub fn judge(
        &mut self,
        owner: &str,
        (used, quota): (u64, u64),
        now: i64,
        id: impl FnOnce() -> String,
    ) -> Option<&mut Record> {
        let percent = percent(used, quota);
        if !self.owners.contains_key(owner) {
            let mut record = Record::default();
            record.judge(percent, now, id);
            if record == Record::default() {
                return None;
            }
            self.owners.insert(owner.into(), record);
        } else if let Some(record) = self.owners.get_mut(owner) {
            record.judge(percent, now, id);
        }
        self.owners.get_mut(owner)
    }

    /// Changes what is known of an owner's mailbox.
    pub fn change(&mut self, owner: &str, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.owners.get_mut(owner) {
            change(record);
        }
    }

    /// Forgets what is of no use; `seen` are the owners whose mailboxes are there.
    pub fn prune(&mut self, seen: &HashSet<Box<str>>, now: i64) {
        self.owners
            .retain(|owner, record| !record.is_idle(now) && (seen.contains(owner) || !record.is_old(now)));
    }
}

/// Replaces the file at `path`. It blocks.
///
/// # Errors
/// It is not certain to be on the disk.
pub fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_back_and_what_is_of_no_use_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent/quota-warnings");
        assert_eq!(Book::load(&path).unwrap(), Book::default());
        let (mut book, now) = (Book::default(), 1_700_000_000);
        assert!(book.judge("u0", (89, 100), now, String::new).is_none());
        for owner in ["u1", "u2", "u3"] {
            assert!(book.judge(owner, (95, 100), now, || owner.to_owned()).is_some());
        }
        save(&path, &book.encode().unwrap()).unwrap();
        assert_eq!(Book::load(&path).unwrap(), book);
        book.change("u1", |record| record.sent(now));
        book.judge("u2", (10, 100), now, String::new);
        let seen = HashSet::from(["u1".into(), "u2".into()]);
        book.prune(&seen, now + 60);
        assert!(book.get("u2").is_none() && book.get("u3").is_some(), "it may be there again");
        book.prune(&seen, now + 31 * 86_400);
        assert!(book.get("u1").is_some() && book.get("u3").is_none());
        fs::write(&path, "{").unwrap();
        assert!(Book::load(&path).is_err());
    }
}
