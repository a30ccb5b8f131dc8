//! The files from which Rspamd signs: the data of the Secret come in, files go out, each replaced whole or not at all.
//!
//! `<domain>.<selector>.key` is the private key, `<domain>.selector` names the one in use. Keys are written before what
//! names them and removed after, so that Rspamd never finds a selector without its key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use k8s_openapi::ByteString;

use crate::signing;

/// What is signed with by domain, see [`signing::Signer::mark`].
pub(super) type Marks = BTreeMap<String, String>;

/// The folder.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// The files in `folder`, which exists.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Makes the files those of `data`, and says what is signed with now.
    ///
    /// # Errors
    /// A file cannot be written or removed. What is in the folder is whole, but may be of the former data.
    pub(super) fn put(&mut self, data: &BTreeMap<String, ByteString>) -> io::Result<Marks> {
        let signers: Vec<_> = signing::signers(data).collect();
        let keys = signers.iter().map(|signer| (signing::file(signer.domain, signer.selector), signer.key));
        let selectors =
            signers.iter().map(|signer| (format!("{}.selector", signer.domain), signer.selector.as_bytes()));
        let mut wanted = BTreeSet::new();
        for (name, content) in keys.chain(selectors) {
            self.write(&name, content)?;
            wanted.insert(name);
        }
        self.remove_others(&wanted, ".selector")?;
        self.remove_others(&wanted, ".key")?;
        Ok(signers.iter().map(|signer| (signer.domain.to_owned(), signer.mark())).collect())
    }

    /// A file that is as it should be keeps its time: Rspamd reads a key again when that changes.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        if fs::read(&path).is_ok_and(|held| held == content) {
            return Ok(());
        }
        let unfinished = self.0.join(".unfinished");
        // It may be left from an end in between, and is not writable then.
        let _ = fs::remove_file(&unfinished);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o440).open(&unfinished)?;
        file.write_all(content)?;
        fs::rename(unfinished, path)
    }

    fn remove_others(&self, wanted: &BTreeSet<String>, end: &str) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| name.ends_with(end)) else { continue };
            if !wanted.contains(name) {
                fs::remove_file(self.0.join(Path::new(name)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        entries.iter().map(|(name, text)| ((*name).to_owned(), ByteString((*text).into()))).collect()
    }

    #[test]
    fn files_follow_the_secret_and_what_it_does_not_name_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path().to_owned());
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let first = files
            .put(&data(&[
                ("selectors.map", "x.vn a\ny.vn a\n"),
                ("x.vn.a.key", "1"),
                ("y.vn.a.key", "2"),
                ("x.vn.b.key", "3"),
            ]))
            .unwrap();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["x.vn", "y.vn"]);
        assert_eq!(names(), ["x.vn.a.key", "x.vn.selector", "y.vn.a.key", "y.vn.selector"]);
        let second =
            files.put(&data(&[("selectors.map", "x.vn b\n"), ("x.vn.b.key", "3"), ("y.vn.a.key", "2")]));
        assert!(second.unwrap()["x.vn"].starts_with("b:"));
        assert_eq!(names(), ["x.vn.b.key", "x.vn.selector"]);
        assert_eq!(fs::read(folder.path().join("x.vn.selector")).unwrap(), b"b");
    }

    #[test]
    fn what_an_earlier_end_left_unfinished_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".unfinished"), "half").unwrap();
        let mut files = Files::new(folder.path().to_owned());
        files.put(&data(&[("selectors.map", "x.vn a\n"), ("x.vn.a.key", "1")])).unwrap();
        assert_eq!(fs::read(folder.path().join("x.vn.a.key")).unwrap(), b"1");
    }
}
