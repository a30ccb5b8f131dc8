//! Of a frozen copy, the folders of some mailboxes. Databases and scripts stay as they are: Cyrus' list of mailboxes is one file.

use std::{fs, io, path::Path};

use super::local::folders;
use crate::{backup::manifest::Owner, job::Selected, wire::cyrus::FolderHeader};

/// Removes the folders of all other mailboxes, and nobody's.
pub(super) fn keep(root: &Path, selected: &Selected) -> io::Result<()> {
    for folder in folders(&root.join("spool"))? {
        let header = fs::read(folder.join("cyrus.header")).ok();
        let header = header.and_then(|file| FolderHeader::parse(&file).ok());
        // One that cannot be read may be theirs: the survey tells of it.
        if header.is_some_and(|header| !selected.has(Owner::of(&header.name).mailbox.as_deref())) {
            fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::backup::testing::put;

    #[test]
    fn folders_of_others_go_and_those_that_cannot_be_read_stay() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "ab1", "x.vn!user.an", &[(0, "one")]);
        put(root, "ab2", "x.vn!user.an.Sent", &[(0, "two")]);
        put(root, "ab3", "x.vn!DELETED.user.an.Old.6B04D33E", &[]);
        put(root, "ac3", "x.vn!user.binh", &[(0, "three")]);
        put(root, "ad3", "y.vn!user.chi", &[(0, "four")]);
        put(root, "ae3", "shared", &[(0, "five")]);
        let torn = put(root, "af3", "x.vn!user.binh.Torn", &[]);
        fs::write(torn.join("cyrus.header"), "x").unwrap();
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let selected = Selected { addresses: of(&["an@x.vn", "nobody@x.vn"]), domains: of(&["y.vn"]) };
        keep(root, &selected).unwrap();
        let left = folders(&root.join("spool")).unwrap();
        let left: Vec<_> = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(left, ["ab1", "ab2", "ab3", "ad3", "af3"]);
    }
}
