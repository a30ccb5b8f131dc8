//! Which snapshots of a repository are a shard's, and what is known of them. Pure.

use super::{
    restic::{Failure, Reason, Snapshot},
    tags::Tags,
};
use crate::job::{Repository, Stored};

/// Why a repository is not to be used, if snapshots of another system are in it.
#[must_use]
pub fn another(snapshots: &[Snapshot], system: &str) -> Option<Failure> {
    let named = snapshots.iter().filter_map(|snapshot| Some((snapshot, Tags::of(&snapshot.tags).system?)));
    let (snapshot, other) = named.into_iter().find(|(_, other)| other != system)?;
    let message = format!("the snapshot {:?} in it is of the system {other}", snapshot.id);
    Some(Failure::new(Reason::RepositoryOfAnotherSystem, message))
}

/// The snapshots of this shard, in the same order. Those that are not marked as the system's are somebody's own.
#[must_use]
pub fn ours(snapshots: &[Snapshot], repository: &Repository) -> Vec<Stored> {
    let all = snapshots.iter().filter(|snapshot| snapshot.hostname == repository.host);
    let told = all.map(|snapshot| (snapshot, Tags::of(&snapshot.tags)));
    let own = told.filter(|(_, tags)| tags.system.as_ref() == Some(&repository.system));
    own.map(|(snapshot, _)| stored(snapshot)).collect()
}

/// What is known of one.
#[must_use]
pub fn stored(snapshot: &Snapshot) -> Stored {
    let tags = Tags::of(&snapshot.tags);
    let files = snapshot.summary.map_or(0, |size| size.total_files_processed);
    Stored {
        id: snapshot.id.to_string(),
        frozen: tags.frozen.unwrap_or_else(|| snapshot.time.as_millisecond()),
        mailboxes: tags.mailboxes,
        messages: tags.messages,
        added: snapshot.summary.map(|size| size.data_added_packed),
        complete: tags.complete(files),
        run: tags.run.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backup::restic::{Size, SnapshotId},
        job::Place,
    };

    fn snapshot(digit: &str, host: &str, tags: &[&str]) -> Snapshot {
        Snapshot {
            id: SnapshotId::parse(&digit.repeat(64)).unwrap(),
            time: "2026-12-01T02:00:07Z".parse().unwrap(),
            hostname: host.into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            summary: Some(Size { total_files_processed: 9, total_bytes_processed: 70, data_added_packed: 7 }),
        }
    }

    #[test]
    fn a_shard_has_the_snapshots_that_name_it_and_its_system() {
        let repository =
            Repository { place: Place::Folder("x".into()), system: "m/a".into(), host: "a-store-0".into() };
        let all = [
            snapshot(
                "1",
                "a-store-0",
                &["run=r1", "system=m/a", "frozen=5", "mailboxes=2", "messages=4", "files=9", "whole=true"],
            ),
            snapshot("2", "a-store-1", &["run=r1", "system=m/a"]),
            snapshot("3", "a-store-0", &["run=r2", "system=m/a", "files=10", "whole=true"]),
            snapshot("4", "a-store-0", &["my own"]),
        ];
        let stored = ours(&all, &repository);
        let ids: Vec<_> = stored.iter().map(|it| (&it.id[..1], it.run.as_str(), it.complete)).collect();
        assert_eq!(ids, [("1", "r1", true), ("3", "r2", false)]);
        let counts = (stored[0].frozen, stored[0].mailboxes, stored[0].messages, stored[0].added);
        assert_eq!(counts, (5, Some(2), Some(4), Some(7)));
        assert_eq!((stored[1].frozen, stored[1].mailboxes), (1_796_090_407_000, None));
        assert_eq!(another(&all, "m/a"), None);
        let failure = another(&all, "m/b").unwrap();
        assert_eq!(
            failure.to_string(),
            "RepositoryOfAnotherSystem: the snapshot 11111111 in it is of the system m/a"
        );
    }
}
