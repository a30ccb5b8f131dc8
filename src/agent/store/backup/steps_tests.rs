use super::*;
use crate::backup::restic::{Engine, Place, Repository, Restic, Size};

fn job(pod: &str, depth: Depth) -> Job {
    let repository = Repository { place: Place::Folder("/r".into()), password: "/p".into() };
    let head =
        Head { system: "m/x".into(), shard: 0, pod: pod.into(), run: "r".into(), frozen: 0, lag: None };
    Job {
        volume: "/data".into(),
        head,
        host: "x-store-0".into(),
        restic: Restic { repository, engine: Engine::default() },
        create: false,
        alone: true,
        expected: Vec::new(),
        depth,
        mailboxes: None,
        objects: None,
    }
}

fn snapshot(digit: &str, host: &str, time: &str, tags: &[&str]) -> Snapshot {
    Snapshot {
        id: SnapshotId::parse(&digit.repeat(64)).unwrap(),
        time: time.parse().unwrap(),
        hostname: host.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        summary: Some(Size { total_files_processed: 7, total_bytes_processed: 9, data_added_packed: 3 }),
    }
}

#[test]
fn only_what_the_newest_snapshot_of_the_same_whole_volume_holds_is_not_read_again() {
    const ALL: [&str; 5] = ["pod=x-store-0-1", "frozen=7200000", "files=7", "whole=true", "selected=false"];
    let of = |tags: &[&str]| snapshot("a", "x-store-0", "2026-12-01T02:00:00Z", tags);
    let since = Depth::Since(SystemTime::UNIX_EPOCH + Duration::from_hours(1));
    let same = job("x-store-0-1", Depth::Digest);
    assert_eq!(depth(&same, Some(&of(&ALL))), since);
    assert_eq!(depth(&job("x-store-0-1", Depth::Present), Some(&of(&ALL))), Depth::Present);
    assert_eq!(depth(&same, None), Depth::Digest);
    assert_eq!(depth(&job("x-store-0-0", Depth::Digest), Some(&of(&ALL))), Depth::Digest);
    for lacks in 0..ALL.len() {
        let tags: Vec<_> = (0..).zip(ALL).filter(|(n, _)| *n != lacks).map(|(_, tag)| tag).collect();
        assert_eq!(depth(&same, Some(&of(&tags))), Depth::Digest, "{tags:?}");
    }
    let fewer = ALL.map(|tag| if tag == "files=7" { "files=8" } else { tag });
    assert_eq!(depth(&same, Some(&of(&fewer))), Depth::Digest);
    let chosen = ALL.map(|tag| if tag.starts_with("selected") { "selected=true" } else { tag });
    assert_eq!(depth(&same, Some(&of(&chosen))), Depth::Digest);
}

#[test]
fn the_parent_is_the_newest_of_the_shard() {
    let all = [
        snapshot("a", "x-store-0", "2026-12-01T02:00:00Z", &[]),
        snapshot("b", "x-store-0", "2026-12-02T02:00:00Z", &[]),
        snapshot("c", "x-store-1", "2026-12-03T02:00:00Z", &[]),
    ];
    assert_eq!(newest(&all, "x-store-0").map(|it| &it.id), Some(&all[1].id));
    assert_eq!(newest(&all, "x-store-2"), None);
}
