//! Objects that go along with the mail: what the operator put into Secrets, in parts, becomes one file of the frozen copy, called
//! as each of them. Parts are frames of zstd, which one after the other are zstd again.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::job::objects::PART;

/// Puts the parts in `from`, which are in folders named by their numbers, one after the other into `to`.
pub(super) fn gather(from: &Path, to: &Path) -> io::Result<()> {
    let parts = parts(from)?;
    if parts.is_empty() {
        return Err(io::Error::other(format!("{}: there are no objects", from.display())));
    }
    fs::create_dir_all(to)?;
    let mut out = File::create(to.join(PART))?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut out)?;
    }
    Ok(())
}

/// The files, by the number of their folder and then by name.
fn parts(from: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) {
            folders.push((number, entry.path()));
        }
    }
    folders.sort();
    let mut parts = Vec::new();
    for (_, folder) in folders {
        let mut files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        // The kubelet's own begin with a dot.
        files.retain(|file| !file.file_name().as_encoded_bytes().starts_with(b"."));
        files.sort_by_key(fs::DirEntry::file_name);
        parts.extend(files.iter().map(fs::DirEntry::path));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_of_their_numbers_and_are_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        for (number, name, text) in
            [("10", "a", "five\n"), ("2", "b", "four\n"), ("2", "a", "three\n"), ("0", "x", "one\ntwo\n")]
        {
            // As the kubelet mounts a Secret.
            let hidden = from.join(number).join("..data");
            fs::create_dir_all(&hidden).unwrap();
            fs::write(hidden.join(name), zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), from.join(number).join(name)).unwrap();
        }
        fs::create_dir(from.join("lost+found")).unwrap();
        let to = folder.path().join("to");
        gather(&from, &to).unwrap();
        let text = zstd::decode_all(File::open(to.join(PART)).unwrap()).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "one\ntwo\nthree\nfour\nfive\n");
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(gather(&folder.path().join("empty"), &to).is_err());
    }
}
