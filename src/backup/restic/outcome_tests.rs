//! Restic's words are those that 0.18.0 said when each thing was done to a repository.

use super::*;

fn ended(exit: Exit) -> Ended {
    Ended { exit, stopped: None, last: None, items: Vec::new(), words: Vec::new(), retried: None }
}

fn said(code: i32, text: &str) -> Ended {
    Ended { last: Some(text.into()), ..ended(Exit::Code(code)) }
}

fn reason_of(ended: &Ended) -> Reason {
    judged(ended).unwrap_err().reason
}

#[test]
fn exit_codes_have_their_reasons() {
    assert_eq!(judged(&ended(Exit::Code(0))), Ok(()));
    let expected = [
        (1, Reason::Failed),
        (2, Reason::Failed),
        (3, Reason::PartiallyFailed),
        (10, Reason::RepositoryMissing),
        (11, Reason::RepositoryLocked),
        (12, Reason::WrongPassword),
        (130, Reason::Killed),
    ];
    for (code, reason) in expected {
        assert_eq!(reason_of(&ended(Exit::Code(code))), reason, "{code}");
    }
    assert_eq!(reason_of(&ended(Exit::Signal(9))), Reason::Killed);
}

#[test]
fn words_tell_what_exit_code_1_does_not() {
    let expected = [
        (
            "Fatal: unable to save snapshot: write /r/data/33/33-tmp-2: no space left on device",
            Reason::NoSpace,
        ),
        (
            "Fatal: create repository at /r failed: Fatal: unable to open repository at /r: config file already exists\n",
            Reason::RepositoryExists,
        ),
        ("Fatal: repository contains errors", Reason::RepositoryDamaged),
        (
            "config file has zero size, invalid repository?\nmain.open\n\tgithub.com",
            Reason::RepositoryDamaged,
        ),
        (
            "Fatal: failed to find snapshot: failed to load snapshot ffff: open /r/snapshots/ffff: no such file or directory",
            Reason::SnapshotMissing,
        ),
        (
            "Fatal: unable to open config file: Stat: Access Denied.\nIs there a repository at",
            Reason::CredentialsRefused,
        ),
        (
            "Fatal: create key in repository at s3:http://x/b failed: Stat: Access Denied.\n",
            Reason::CredentialsRefused,
        ),
        (
            "Fatal: create repository at s3:x failed: Fatal: unable to open repository at s3:x: client.BucketExists: 503 Service Unavailable\n",
            Reason::Unreachable,
        ),
        (
            "Fatal: create repository at s3:x failed: client.MakeBucket: The specified bucket does not exist",
            Reason::BucketMissing,
        ),
        ("path tmp: not found", Reason::NothingMatches),
        ("Fatal: something that nobody has seen yet", Reason::Failed),
    ];
    for (text, reason) in expected {
        assert_eq!(reason_of(&said(1, text)), reason, "{text}");
    }
    let failure = judged(&said(1, expected[6].0)).unwrap_err();
    assert_eq!(failure.message, "create key in repository at s3:http://x/b failed: Stat: Access Denied");
}

#[test]
fn an_item_says_more_than_the_number_of_errors() {
    let items = vec![Item {
        path: "/big/f1".into(),
        message: "decrypting blob failed: ciphertext verification failed".into(),
    }];
    let restore = Ended { items, ..said(1, "Fatal: There were 2 errors\n") };
    let failure = judged(&restore).unwrap_err();
    assert_eq!(failure.reason, Reason::RepositoryDamaged);
    assert_eq!(failure.message, "decrypting blob failed: ciphertext verification failed");
}

#[test]
fn a_parent_that_is_lost_is_damage_and_not_an_unreadable_file() {
    let item = |message: &str| vec![Item { path: "/".into(), message: message.into() }];
    let words = "Warning: at least one source file could not be read";
    let lost =
        "/: tree b0c1 is not known; the repository could be damaged, run `repair index` to try to repair it";
    assert_eq!(reason_of(&Ended { items: item(lost), ..said(3, words) }), Reason::RepositoryDamaged);
    let unreadable = "open big/f3: permission denied";
    assert_eq!(reason_of(&Ended { items: item(unreadable), ..said(3, words) }), Reason::PartiallyFailed);
}

#[test]
fn what_restic_passes_over_with_exit_code_0_is_a_failure() {
    let passed = |line: &str| Ended { words: vec![line.into()], ..ended(Exit::Code(0)) };
    let expected = [
        ("/data/frozen/spool does not exist, skipping", Reason::PartiallyFailed),
        (
            "Ignoring \"7e5c\": failed to load snapshot 7e5c: LoadRaw(<snapshot/7e5c>): invalid data returned",
            Reason::RepositoryDamaged,
        ),
        (
            "Ignoring \"ffff\": failed to load snapshot ffff: open /r/snapshots/ffff: no such file or directory",
            Reason::SnapshotMissing,
        ),
    ];
    for (line, reason) in expected {
        assert_eq!(reason_of(&passed(line)), reason, "{line}");
    }
    assert_eq!(judged(&passed("successfully removed 1 locks")), Ok(()));
}

#[test]
fn a_run_that_was_ended_for_want_of_progress_tells_what_it_waited_for() {
    let stalled = |retried: Option<&str>| Ended {
        stopped: Some(Stopped::Stalled(120)),
        retried: retried.map(Into::into),
        ..said(130, "Fatal: unable to open config file: context canceled")
    };
    let expected = [
        (None, Reason::Stalled),
        (
            Some("Stat(<config/>) returned error, retrying after 1s: Stat: 503 Service Unavailable"),
            Reason::Unreachable,
        ),
        (
            Some(
                "Save(<data/33>) returned error, retrying after 8s: client.PutObject: The provided token has expired.",
            ),
            Reason::CredentialsRefused,
        ),
        (
            Some(
                "Stat(<config/>) returned error, retrying after 1s: dial tcp: lookup x.invalid: no such host",
            ),
            Reason::Unreachable,
        ),
    ];
    for (retried, reason) in expected {
        assert_eq!(reason_of(&stalled(retried)), reason, "{retried:?}");
    }
    assert!(
        judged(&stalled(expected[1].0))
            .unwrap_err()
            .message
            .starts_with("no progress for 120 seconds: Stat(")
    );
    let cancelled = Ended { stopped: Some(Stopped::Cancelled), ..ended(Exit::Code(0)) };
    assert_eq!(reason_of(&cancelled), Reason::Cancelled, "even if it was done just then");
}
