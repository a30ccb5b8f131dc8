//! The directory on the disk, so that an agent restarts without the API server.
//!
//! The bytes of Secrets and their issue numbers come in and go out, one file each: the number, a line feed, the bytes.
//! A file is replaced whole or not at all: written beside, synced, renamed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder with the files.
#[derive(Clone, Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// The folder `directory` below `data`, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("directory");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Keeps the content of Secret `name`.
    ///
    /// # Errors
    /// It cannot be written; what was kept before is still there.
    pub fn save(&self, name: &str, issued: u64, content: &[u8]) -> io::Result<()> {
        let unfinished = self.0.join(format!(".{name}"));
        let mut file = File::create(&unfinished)?;
        writeln!(file, "{issued}")?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Issue number and content of Secret `name`; none if it is not kept or its file is not one of ours.
    #[must_use]
    pub fn load(&self, name: &str) -> Option<(u64, Vec<u8>)> {
        let bytes = fs::read(self.0.join(name)).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let issued = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
        Some((issued, bytes[end + 1..].to_vec()))
    }

    /// Removes every file that `keep` does not want, by its name.
    ///
    /// # Errors
    /// The folder cannot be read or a file cannot be removed.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) -> io::Result<()> {
        for file in fs::read_dir(&self.0)? {
            let file = file?;
            if !file.file_name().to_str().is_some_and(&keep) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_last_is_loaded_and_the_rest_can_go() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        disk.save("a", 1, b"one").unwrap();
        disk.save("a", 2, b"two\nlines").unwrap();
        disk.save("b", 3, b"").unwrap();
        assert_eq!(disk.load("a"), Some((2, b"two\nlines".to_vec())));
        disk.retain(|name| name == "b").unwrap();
        assert_eq!((disk.load("a"), disk.load("b")), (None, Some((3, vec![]))));
    }

    #[test]
    fn a_file_without_a_number_is_none_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        fs::write(folder.path().join("directory/a"), "x\ncontent").unwrap();
        fs::write(folder.path().join("directory/b"), "7").unwrap();
        assert_eq!((disk.load("a"), disk.load("b")), (None, None));
    }
}
