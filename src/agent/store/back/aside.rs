//! Keeps what cannot be carried over, in a folder of the volume, for a person to look at: links to the message files, which
//! need no room while the originals are there and outlive them.

use std::{
    fs, io,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    carry::file_of,
    listing::{Folder, Mailbox},
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Aside(PathBuf);

impl Aside {
    /// In the volume at `data`, of a return to the primary of `epoch`.
    #[must_use]
    pub fn new(data: &Path, epoch: u64) -> Self {
        Self(data.join(format!("set-aside-return-{epoch}")))
    }

    /// Keeps a message; nothing if its file is gone. It blocks.
    ///
    /// # Errors
    /// It is not kept.
    pub fn keep(
        &self,
        spool: &Path,
        address: &str,
        folder: &Folder,
        uid: u32,
    ) -> io::Result<Option<PathBuf>> {
        let (from, to) = (file_of(spool, &folder.id, uid)?, self.folder(address).join(plain(&folder.path)));
        fs::create_dir_all(&to)?;
        let to = to.join(format!("{uid}.eml"));
        match fs::hard_link(from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => {
                fs::File::open(to.parent().unwrap_or(&to))?.sync_all()?;
                Ok(Some(to))
            }
        }
    }

    /// Keeps all that lives in a mailbox. It blocks.
    ///
    /// # Errors
    /// Not all is kept.
    pub fn keep_all(&self, spool: &Path, mailbox: &Mailbox) -> io::Result<PathBuf> {
        for folder in mailbox.folders.iter().filter(|folder| folder.mail && !folder.deleted) {
            for message in folder.messages.iter().filter(|message| !message.expunged) {
                self.keep(spool, &mailbox.address, folder, message.uid)?;
            }
        }
        Ok(self.folder(&mailbox.address))
    }

    fn folder(&self, address: &str) -> PathBuf {
        self.0.join(plain(address))
    }
}

/// A name that is one of a file.
fn plain(name: &str) -> String {
    let name = name.replace('/', "%2F");
    name.strip_prefix('.').map(|rest| format!("%2E{rest}")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::back::listing::{Flags, Message};

    #[test]
    fn what_lives_is_kept_under_its_own_names_and_outlives_the_original() {
        let data = tempfile::tempdir().unwrap();
        let (spool, aside) = (data.path().join("spool"), Aside::new(data.path(), 7));
        let message = |uid, expunged| Message {
            uid,
            guid: String::new(),
            id: None,
            date: 0,
            saved: 0,
            updated: 0,
            modseq: 0,
            size: 0,
            expunged,
            flags: Flags::default(),
        };
        let messages = vec![message(1, false), message(2, true), message(3, false)];
        let (id, path) = ("ab1".into(), "../Work/x".into());
        let folder =
            Folder { id, path, deleted: false, mail: true, validity: 1, last_uid: 3, modseq: 1, messages };
        let mailbox = Mailbox { address: "an@x.vn".into(), folders: vec![folder] };
        fs::create_dir_all(spool.join("uuid/a/b/ab1")).unwrap();
        for uid in [1, 2] {
            fs::write(file_of(&spool, "ab1", uid).unwrap(), "mail").unwrap();
        }
        for _ in 0..2 {
            let kept = aside.keep_all(&spool, &mailbox).unwrap();
            assert_eq!(kept, data.path().join("set-aside-return-7/an@x.vn"));
        }
        fs::remove_dir_all(&spool).unwrap();
        let kept = data.path().join("set-aside-return-7/an@x.vn/%2E.%2FWork%2Fx");
        assert_eq!(fs::read_to_string(kept.join("1.eml")).unwrap(), "mail");
        assert_eq!(fs::read_dir(kept).unwrap().count(), 1);
    }
}
