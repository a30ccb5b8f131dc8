//! How far a return is, on the volume: written before anything that relies on it, so that one that was interrupted goes on.
//!
//! What was carried over stands on the other store, and is not asked for again; which mailboxes have to be got anew is
//! known only here, and until they are there again this volume must not be taken for whole.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

const NAME: &str = "return.json";

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last epoch that this store served: another one makes this worthless.
    pub of: u64,
    /// The mailboxes that were carried over.
    pub carried: BTreeSet<String>,
    /// Those of them that this store has to get anew.
    pub anew: BTreeSet<String>,
    /// All are carried over, and this volume is not whole until they were got anew.
    pub settled: bool,
    /// All that stood in the way is gone.
    pub finished: bool,
}

fn file(data: &Path) -> PathBuf {
    data.join("agent").join(NAME)
}

impl State {
    /// What stands on the volume at `data` of a return after the epoch `of`; nothing is known of another.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(data: &Path, of: u64) -> io::Result<Option<Self>> {
        match fs::read(file(data)) {
            Ok(bytes) => {
                // Written whole or not at all: what is not understood is another release's.
                let state: Option<Self> = serde_json::from_slice(&bytes).ok();
                Ok(state.filter(|state| state.of == of))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes and syncs it.
    ///
    /// # Errors
    /// It is not certain to be on the disk.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let (path, unfinished) = (file(data), data.join("agent").join(".return"));
        let folder = data.join("agent");
        fs::create_dir_all(&folder)?;
        let mut file = File::create(&unfinished)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&folder)?.sync_all()
    }

    /// Forgets it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(data: &Path) -> io::Result<()> {
        match fs::remove_file(file(data)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_goes_on_where_it_was_unless_the_store_served_again() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(State::read(data.path(), 4).unwrap(), None);
        let carried = ["an@x.vn".to_owned()].into();
        let state = State { of: 4, carried, settled: true, ..State::default() };
        state.write(data.path()).unwrap();
        assert_eq!(State::read(data.path(), 4).unwrap(), Some(state));
        assert_eq!(State::read(data.path(), 6).unwrap(), None);
        fs::write(file(data.path()), "{").unwrap();
        assert_eq!(State::read(data.path(), 4).unwrap(), None);
        State::remove(data.path()).unwrap();
        State::remove(data.path()).unwrap();
        assert!(!file(data.path()).exists());
    }
}
