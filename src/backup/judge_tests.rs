use super::*;
use crate::backup::restic::Summary;

fn id(digit: char) -> SnapshotId {
    SnapshotId::parse(&digit.to_string().repeat(64)).unwrap()
}

fn snapshot(digit: char, files: u64) -> Snapshot {
    let text = format!(
        r#"{{"id":"{}","time":"2026-12-01T00:00:00Z","summary":{{"total_files_processed":{files},"total_bytes_processed":1}}}}"#,
        id(digit)
    );
    serde_json::from_str(&text).unwrap()
}

fn failure(reason: EngineReason) -> Failure {
    Failure::new(reason, "restic's words")
}

/// What makes a run worse.
type Change = fn(&mut Case);

/// A run that went well; each case takes something away.
struct Case {
    frozen: Frozen,
    run: BackupRun,
    listed: Result<Vec<Snapshot>, Failure>,
    check: Result<CheckReport, Failure>,
    expected: Vec<SnapshotId>,
}

fn good() -> Case {
    let counts = Counts { folders: 3, messages: 10, expunged: 2, bytes: 100 };
    let summary = Summary {
        total_files_processed: 30,
        snapshot_id: Some(id('a').as_str().to_owned()),
        ..Summary::default()
    };
    Case {
        frozen: Frozen { mailboxes: 2, counts, found: 12, wrong: 0, cleaned: 0, unread: 0, files: 30 },
        run: BackupRun {
            outcome: Ok(()),
            snapshot: Some(id('a')),
            summary: Some(summary),
            items: Vec::new(),
        },
        listed: Ok(vec![snapshot('b', 7), snapshot('a', 30)]),
        check: Ok(CheckReport { outcome: Ok(()), broken_packs: Vec::new(), items: Vec::new() }),
        expected: vec![id('b')],
    }
}

impl Case {
    fn verdict(&self) -> Verdict {
        judge(&Evidence {
            frozen: &self.frozen,
            run: &self.run,
            listed: self.listed.as_deref(),
            check: self.check.as_ref(),
            expected: &self.expected,
        })
    }

    fn reason(&self) -> Reason {
        self.verdict().outcome.unwrap_err().0
    }
}

fn but(change: impl FnOnce(&mut Case)) -> Case {
    let mut case = good();
    change(&mut case);
    case
}

const ENGINE: [EngineReason; 18] = [
    EngineReason::BucketMissing,
    EngineReason::PartiallyFailed,
    EngineReason::RepositoryLocked,
    EngineReason::WrongPassword,
    EngineReason::RepositoryMissing,
    EngineReason::RepositoryExists,
    EngineReason::RepositoryDamaged,
    EngineReason::NoSpace,
    EngineReason::CredentialsRefused,
    EngineReason::Unreachable,
    EngineReason::Stalled,
    EngineReason::Cancelled,
    EngineReason::Killed,
    EngineReason::SnapshotMissing,
    EngineReason::NothingMatches,
    EngineReason::CredentialsMissing,
    EngineReason::EngineUnusable,
    EngineReason::Failed,
];

#[test]
fn all_that_has_to_hold_makes_a_success() {
    assert_eq!(good().verdict(), Verdict { outcome: Ok(id('a')), vanished: Vec::new() });
    // Lists and logs of Cyrus are files, too.
    assert!(but(|case| case.frozen.files = 29).verdict().outcome.is_ok());
    // A file that no record knows is no harm: it came after the index was copied.
    assert!(but(|case| case.frozen.found = 13).verdict().outcome.is_ok());
    // What was expunged may be cleaned up in between.
    assert!(but(|case| (case.frozen.found, case.frozen.cleaned) = (10, 2)).verdict().outcome.is_ok());
    // Mailboxes without mail are mailboxes.
    let empty = but(|case| (case.frozen.counts, case.frozen.found) = (Counts::default(), 0));
    assert!(empty.verdict().outcome.is_ok());
}

#[test]
fn whatever_is_missing_has_its_reason() {
    let table: [(&str, Change, Reason); 12] = [
        ("no mailbox", |case| case.frozen.mailboxes = 0, Reason::Empty),
        ("a folder was not read", |case| case.frozen.unread = 1, Reason::Incomplete),
        ("a message has no file", |case| case.frozen.wrong = 1, Reason::Incomplete),
        ("fewer files than messages", |case| case.frozen.found = 11, Reason::Incomplete),
        (
            "more cleaned up than was expunged",
            |case| (case.frozen.found, case.frozen.cleaned) = (9, 3),
            Reason::Incomplete,
        ),
        ("one file less than frozen", |case| case.frozen.files = 31, Reason::FewerFiles),
        ("not in the list", |case| case.listed = Ok(vec![snapshot('b', 30)]), Reason::NotListed),
        ("an empty list", |case| case.listed = Ok(Vec::new()), Reason::NotListed),
        ("listed with less", |case| case.listed = Ok(vec![snapshot('a', 29)]), Reason::FewerFiles),
        ("listed with nothing", |case| case.listed.as_mut().unwrap()[1].summary = None, Reason::FewerFiles),
        ("no summary", |case| case.run.summary = None, Reason::Engine(EngineReason::Failed)),
        ("no snapshot", |case| case.run.snapshot = None, Reason::Engine(EngineReason::Failed)),
    ];
    for (name, change, reason) in table {
        assert_eq!(but(change).reason(), reason, "{name}");
    }
}

#[test]
fn no_failure_of_any_step_is_a_success_and_each_keeps_its_reason() {
    for reason in ENGINE {
        let steps: [fn(&mut Case, Failure); 4] = [
            |case, failure| case.run.outcome = Err(failure),
            |case, failure| case.listed = Err(failure),
            |case, failure| case.check = Err(failure),
            |case, failure| {
                case.check =
                    Ok(CheckReport { outcome: Err(failure), broken_packs: Vec::new(), items: Vec::new() });
            },
        ];
        for step in steps {
            let outcome = but(|case| step(case, failure(reason))).verdict().outcome;
            assert_eq!(outcome, Err((Reason::Engine(reason), "restic's words".to_owned())));
        }
    }
}

#[test]
fn the_first_cause_is_told_and_not_what_follows_from_it() {
    let case = but(|case| {
        case.run.outcome = Err(failure(EngineReason::NoSpace));
        (case.run.summary, case.run.snapshot) = (None, None);
        case.listed = Err(failure(EngineReason::Unreachable));
        case.check = Err(failure(EngineReason::RepositoryLocked));
        case.frozen.wrong = 1;
    });
    assert_eq!(case.reason(), Reason::Engine(EngineReason::NoSpace));
    let snapshot_that_lacks_files =
        but(|case| case.run.outcome = Err(failure(EngineReason::PartiallyFailed)));
    assert_eq!(snapshot_that_lacks_files.reason(), Reason::Engine(EngineReason::PartiallyFailed));
}

#[test]
fn a_snapshot_that_somebody_deleted_is_noticed_whatever_became_of_the_run() {
    let gone = but(|case| case.expected = vec![id('b'), id('c')]);
    assert_eq!(gone.verdict(), Verdict { outcome: Ok(id('a')), vanished: vec![id('c')] });
    let failed = but(|case| {
        case.expected = vec![id('c')];
        case.run.outcome = Err(failure(EngineReason::Stalled));
    });
    assert_eq!(failed.verdict().vanished, [id('c')]);
    let unknown = but(|case| case.listed = Err(failure(EngineReason::Unreachable)));
    assert!(unknown.verdict().vanished.is_empty(), "nobody knows");
}
