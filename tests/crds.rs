//! The committed custom resource definitions are those of `src/api`, and the chart carries the same files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// Name and text of each file of a folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn generated() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mail-operator"))
        .args(["crds", "--output"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files(folder.path())
}

#[test]
fn the_committed_definitions_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = generated();
    assert_eq!(
        generated.keys().collect::<Vec<_>>(),
        [
            "mailbackups.yaml",
            "mailboxes.yaml",
            "maildomains.yaml",
            "mailgroups.yaml",
            "mailrestores.yaml",
            "mailsnapshots.yaml",
            "mailsystems.yaml",
            "retiredmailboxes.yaml"
        ]
    );
    for folder in ["crds", "charts/mail-operator/files/crds"] {
        let committed = files(&root.join(folder));
        assert!(committed == generated, "{folder} is not what the code says: run `make generate`");
    }
}
