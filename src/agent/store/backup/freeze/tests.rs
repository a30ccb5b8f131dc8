use std::{fs::File, os::unix::fs::MetadataExt};

use rustix::fs::{FlockOperation, fcntl_lock};

use super::*;
use crate::agent::store::backup::testing::{EXPUNGED, UNLINKED, put};

fn volume() -> tempfile::TempDir {
    let volume = tempfile::tempdir().unwrap();
    let root = volume.path();
    for (file, text) in [
        ("conf/mailboxes.db", "m"),
        ("conf/user/a/an.sub", "s"),
        ("conf/quota/q/user.an", "q"),
        ("conf/deliver.db", "d"),
        ("conf/sync/log", "l"),
        ("conf/annotations.db.NEW", "n"),
        ("sieve/x.vn/a/an/script.bc", "b"),
        ("spool/stage./1-2", "half a message"),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("script.bc", root.join("sieve/x.vn/a/an/defaultbc")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("conf/user/a/socket")).unwrap();
    let inbox = put(
        root,
        "ab1",
        "x.vn!user.an",
        &[(0, "one"), (EXPUNGED, "two"), (EXPUNGED | UNLINKED, "3"), (0, "four")],
    );
    for (file, text) in
        [("cyrus.cache", &b"\0\0\0\x07cache"[..]), ("cyrus.annotations", b"a"), ("9.", b"newer")]
    {
        fs::write(inbox.join(file), text).unwrap();
    }
    fs::create_dir_all(root.join("spool/uuid/a/b/ab2")).unwrap();
    volume
}

fn frozen(volume: &Path) -> Frozen {
    freeze(volume, "r1", &CancellationToken::new()).unwrap()
}

fn listed(root: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                walk(root, &entry.path(), found);
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

#[test]
fn a_copy_has_what_cyrus_needs_and_messages_are_the_same_files() {
    let volume = volume();
    let frozen = frozen(volume.path());
    assert_eq!(frozen.path, volume.path().join(".frozen/r1"));
    assert_eq!((frozen.folders, frozen.linked, frozen.copied, frozen.gone), (1, 3, 0, 0));
    assert!(frozen.restless.is_empty(), "{:?}", frozen.restless);
    let expected = [
        "conf/mailboxes.db",
        "conf/quota/q/user.an",
        "conf/user/a/an.sub",
        "sieve/x.vn/a/an/defaultbc",
        "sieve/x.vn/a/an/script.bc",
        "spool/uuid/a/b/ab1/1.",
        "spool/uuid/a/b/ab1/2.",
        "spool/uuid/a/b/ab1/4.",
        "spool/uuid/a/b/ab1/cyrus.annotations",
        "spool/uuid/a/b/ab1/cyrus.cache",
        "spool/uuid/a/b/ab1/cyrus.header",
        "spool/uuid/a/b/ab1/cyrus.index",
    ];
    assert_eq!(listed(&frozen.path), expected);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let of = |name: &str| {
        (
            inode(&volume.path().join("spool/uuid/a/b/ab1").join(name)),
            inode(&frozen.path.join("spool/uuid/a/b/ab1").join(name)),
        )
    };
    assert!(of("1.").0 == of("1.").1 && of("cyrus.index").0 != of("cyrus.index").1);
}

#[test]
fn what_happens_after_it_is_not_in_the_copy() {
    let volume = volume();
    let frozen = frozen(volume.path());
    let live = volume.path().join("spool/uuid/a/b/ab1");
    let copy = frozen.path.join("spool/uuid/a/b/ab1");
    let index = fs::read(copy.join("cyrus.index")).unwrap();
    fs::write(live.join("cyrus.index"), "changed").unwrap();
    fs::remove_file(live.join("1.")).unwrap();
    fs::write(live.join("1."), "another").unwrap();
    assert_eq!(fs::read(copy.join("cyrus.index")).unwrap(), index);
    assert_eq!(fs::read_to_string(copy.join("1.")).unwrap(), "one");
}

#[test]
fn what_a_crash_left_goes_and_thawing_leaves_the_mail() {
    let volume = volume();
    let parent = volume.path().join(".frozen");
    for left in ["r0", "r1.partial", "r1"] {
        fs::create_dir_all(parent.join(left).join("spool")).unwrap();
        fs::write(parent.join(left).join("spool/x"), "x").unwrap();
    }
    let frozen = frozen(volume.path());
    assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
    assert!(!frozen.path.join("spool/x").exists());
    assert_eq!(whole(volume.path(), "r1"), Some(frozen.path));
    assert_eq!(whole(volume.path(), "r0"), None);
    thaw(volume.path()).unwrap();
    assert!(!parent.exists());
    thaw(volume.path()).unwrap();
    assert_eq!(fs::read_to_string(volume.path().join("spool/uuid/a/b/ab1/1.")).unwrap(), "one");
}

#[test]
fn one_that_was_interrupted_is_not_whole() {
    let volume = volume();
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(matches!(freeze(volume.path(), "r1", &cancel), Err(Error::Cancelled)));
    assert_eq!(whole(volume.path(), "r1"), None);
}

#[test]
fn a_copy_waits_for_whoever_writes() {
    let volume = volume();
    let path = volume.path().join("conf/mailboxes.db");
    // POSIX locks are a process's own, so that another process has to hold it.
    let script = r#"use Fcntl; $| = 1; open(F, "+<", $ARGV[0]) or die;
        my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
        fcntl(F, F_SETLKW, $lock) or die; print "locked\n";
        syswrite F, "half"; select(undef, undef, undef, 0.3); sysseek F, 0, 0; syswrite F, "the whole";"#;
    let mut writer = std::process::Command::new("perl")
        .args(["-e", script])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(writer.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "locked\n");
    let frozen = frozen(volume.path());
    assert_eq!(fs::read_to_string(frozen.path.join("conf/mailboxes.db")).unwrap(), "the whole");
    assert!(writer.wait().unwrap().success());
}

#[test]
fn a_cache_of_another_generation_and_a_torn_index_are_restless_and_all_messages_are_there() {
    let volume = volume();
    let live = volume.path().join("spool/uuid/a/b/ab1");
    fs::write(live.join("cyrus.cache"), b"\0\0\0\x08cache").unwrap();
    assert_eq!(frozen(volume.path()).restless, [live.join("cyrus.cache")]);
    fs::write(live.join("cyrus.cache"), b"\0\0\0\x07cache").unwrap();
    let index = fs::read(live.join("cyrus.index")).unwrap();
    fs::write(live.join("cyrus.index"), &index[..200]).unwrap();
    let torn = frozen(volume.path());
    assert_eq!((torn.restless, torn.linked), (vec![live.join("cyrus.index")], 4));
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_path() {
    let volume = volume();
    let path = volume.path().join("conf/mailboxes.db");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(
        matches!(freeze(volume.path(), "r1", &CancellationToken::new()), Err(Error::Io(at, _)) if at == path)
    );
}

#[test]
fn a_shared_lock_is_no_hindrance() {
    let volume = volume();
    let file = File::open(volume.path().join("conf/mailboxes.db")).unwrap();
    fcntl_lock(&file, FlockOperation::NonBlockingLockShared).unwrap();
    assert!(frozen(volume.path()).restless.is_empty());
}
