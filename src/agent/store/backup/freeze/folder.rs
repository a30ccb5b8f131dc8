//! Freezes one folder: first its metadata, later the messages that its copied index names.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::Path,
};

use super::{Error, Frozen, at, copy};
use crate::wire::cyrus::Index;

/// In this order: a cache has an entry before the index names it, a keyword its name before a message has it.
const METADATA: [&str; 3] = ["cyrus.index", "cyrus.cache", "cyrus.header"];

/// Copies all but the messages. Tells whether there is a folder.
pub(super) fn metadata(from: &Path, to: &Path, frozen: &mut Frozen) -> Result<bool, Error> {
    fs::create_dir_all(to).map_err(at(to))?;
    let [index, cache, header] = METADATA.map(|name| (from.join(name), to.join(name)));
    let is_whole = || fs::read(&index.1).is_ok_and(|file| is_whole(&file));
    if !copy::settled_if(&index.0, &index.1, frozen, is_whole)? {
        return there_is_nothing(to);
    }
    // Cyrus makes a new cache and a new index at once, each by renaming: those that belong together have a number.
    let belongs = || copy_again_if_needed(&index.0, &index.1, &cache.1).unwrap_or(false);
    copy::settled_if(&cache.0, &cache.1, frozen, belongs)?;
    copy::settled(&header.0, &header.1, frozen)?;
    let Some(entries) = copy::there(fs::read_dir(from)).map_err(at(from))? else {
        return there_is_nothing(to);
    };
    for entry in entries {
        let entry = entry.map_err(at(from))?;
        let name = entry.file_name();
        let other = name.to_str().filter(|name| !METADATA.contains(name) && is_metadata(name));
        if let Some(name) = other
            && copy::there(entry.file_type()).map_err(at(from))?.is_some_and(|kind| kind.is_file())
        {
            copy::settled(&entry.path(), &to.join(name), frozen)?;
        }
    }
    Ok(true)
}

fn there_is_nothing(to: &Path) -> Result<bool, Error> {
    fs::remove_dir_all(to).map_err(at(to))?;
    Ok(false)
}

/// Neither a message nor something that is being written.
fn is_metadata(name: &str) -> bool {
    !name.as_bytes().ends_with(b".NEW") && uid(name).is_none()
}

/// `17.` is a message.
fn uid(name: &str) -> Option<u32> {
    name.strip_suffix('.')?.parse().ok()
}

fn is_whole(file: &[u8]) -> bool {
    Index::parse(file).is_ok_and(|index| index.records().all(|record| record.is_ok()))
}

/// Whether the copied cache is the copied index's; if not, the index is copied again for the next try.
fn copy_again_if_needed(from: &Path, index: &Path, cache: &Path) -> io::Result<bool> {
    let generation = |path: &Path| -> io::Result<[u8; 4]> {
        let mut bytes = [0; 4];
        File::open(path)?.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    if generation(index)? == generation(cache)? {
        return Ok(true);
    }
    let file = fs::read(from)?;
    if is_whole(&file) {
        fs::write(index, file)?;
    }
    Ok(false)
}

/// Links the messages that the copied index names. Where it cannot be read all are linked, so that it can be made anew.
pub(super) fn messages(from: &Path, to: &Path, frozen: &mut Frozen) -> Result<(), Error> {
    let file = fs::read(to.join("cyrus.index")).map_err(at(to))?;
    let named = Index::parse(&file).and_then(|index| index.records().collect::<Result<Vec<_>, _>>());
    let uids: Vec<u32> = match named {
        Ok(records) => records.iter().filter(|record| !record.unlinked).map(|record| record.uid).collect(),
        Err(_) => all(from).map_err(at(from))?,
    };
    for uid in uids {
        let name = format!("{uid}.");
        link(&from.join(&name), &to.join(&name), frozen)?;
    }
    Ok(())
}

fn all(folder: &Path) -> io::Result<Vec<u32>> {
    let entries: Vec<_> =
        copy::there(fs::read_dir(folder))?.into_iter().flatten().collect::<Result<_, _>>()?;
    Ok(entries.iter().filter_map(|entry| uid(entry.file_name().to_str()?)).collect())
}

fn link(from: &Path, to: &Path, frozen: &mut Frozen) -> Result<(), Error> {
    let linked = match fs::hard_link(from, to) {
        Ok(()) => {
            frozen.linked += 1;
            return Ok(());
        }
        Err(error) => error,
    };
    match linked.kind() {
        ErrorKind::NotFound => {
            frozen.gone += 1;
            return Ok(());
        }
        // It is linked already: writing to it would be writing to the store's own file.
        ErrorKind::AlreadyExists => return Ok(()),
        // A file system without links, or one that has too many of this file.
        _ => {}
    }
    match copy::there(copied(from, to)).map_err(at(from))? {
        Some(_) => frozen.copied += 1,
        None => frozen.gone += 1,
    }
    Ok(())
}

/// Copies into a file that is new: one that is there may be a link to the very file that is copied.
fn copied(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = fs::File::open(from)?;
    let mut target = fs::File::create_new(to)?;
    io::copy(&mut source, &mut target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_already_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("1."), folder.path().join("frozen"));
        fs::write(&from, "a message").unwrap();
        let mut frozen = Frozen::default();
        for _ in 0..2 {
            link(&from, &to, &mut frozen).unwrap();
            assert_eq!(fs::read_to_string(&from).unwrap(), "a message");
        }
        assert_eq!(frozen.linked, 1);
        assert!(copied(&from, &to).is_err(), "nothing is written over");
        assert_eq!(copied(&from, &folder.path().join("copy")).unwrap(), 9);
    }
}
