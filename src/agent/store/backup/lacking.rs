//! The mailboxes of which a snapshot lacks something: by what the survey found, and by the paths that restic could not read.

use std::{collections::BTreeSet, fs::File, path::Path};

use super::{MANIFEST, check::Wrong, survey::Problem};
use crate::backup::{
    manifest::{INDEX, IndexReader, Item, MailboxReader, ReadError},
    restic,
};

/// Those of the survey.
pub(super) fn by_survey(problems: &[Problem]) -> BTreeSet<String> {
    let counts = |problem: &&Problem| !matches!(problem.what, Wrong::Missing { expunged: true, .. });
    problems.iter().filter(counts).filter_map(|problem| problem.mailbox.clone()).collect()
}

/// Those of these paths, as the manifest of the frozen copy in `root` knows their folders.
pub(super) fn by_paths(root: &Path, items: &[restic::Item]) -> Result<BTreeSet<String>, ReadError> {
    let folders: BTreeSet<_> = items.iter().filter_map(|item| folder_of(&item.path)).collect();
    let mut found = BTreeSet::new();
    if folders.is_empty() {
        return Ok(found);
    }
    let manifest = root.join(MANIFEST);
    let mut index = IndexReader::new(File::open(manifest.join(INDEX))?)?;
    while let Some(entry) = index.next_entry()? {
        let Some(mailbox) = entry.mailbox else { continue };
        let mut reader = MailboxReader::new(File::open(manifest.join(entry.file))?)?;
        while let Some(item) = reader.next_item()? {
            if matches!(item, Item::Folder(folder) if folders.contains(folder.id.as_str())) {
                found.insert(mailbox.clone());
            }
        }
    }
    Ok(found)
}

/// The id in `…/spool/uuid/X/Y/ID/…`.
fn folder_of(path: &str) -> Option<&str> {
    let (_, below) = path.split_once("/uuid/")?;
    below.split('/').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::store::backup::{check::Depth, survey::survey, testing::put},
        backup::manifest::Head,
    };

    #[test]
    fn paths_that_could_not_be_read_name_their_mailboxes() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "ab1", "x.vn!user.an", &[(0, "one")]);
        put(root.path(), "ab2", "x.vn!user.an.Sent", &[(0, "two")]);
        put(root.path(), "ac3", "x.vn!user.binh", &[(0, "three")]);
        let head =
            Head { system: "m/x".into(), shard: 0, pod: "p".into(), run: "r".into(), frozen: 1, lag: None };
        survey(root.path(), &head, Depth::Present, |_| true).unwrap();
        let of = |paths: &[&str]| {
            let item = |path: &&str| restic::Item { path: (*path).to_owned(), message: String::new() };
            let items: Vec<_> = paths.iter().map(item).collect();
            by_paths(root.path(), &items).unwrap().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["/data/.frozen/r/spool/uuid/a/b/ab2/1.", "spool/uuid/a/b/ab2"]), ["an@x.vn"]);
        assert_eq!(of(&["/spool/uuid/a/c/ac3/1.", "/spool/uuid/a/b/ab1/1."]), ["an@x.vn", "binh@x.vn"]);
        assert_eq!(of(&["/conf/mailboxes.db", "/spool/uuid/a", "/spool/uuid/x/y/xy1/1.", ""]), [""; 0]);
    }
}
