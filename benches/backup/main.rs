//! What a backup costs beside plain `restic backup` of the same files, measured in one run on folders. Prints a table for
//! docs/benchmarks.md.
//!
//!     cargo bench --bench backup -- [MAILBOXES [MESSAGES]]        (1000 mailboxes of 200 messages if absent)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Figures are rounded anyway.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "../../tests/backup/pod.rs"]
#[allow(dead_code)]
mod pod;
#[path = "../../tests/backup/repository.rs"]
#[allow(dead_code)]
mod repository;
#[path = "../../tests/backup/volume.rs"]
#[allow(dead_code)]
mod volume;

mod load;
mod memory;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use mail_operator::job::BackupDone;

use self::{
    load::{Load, fill},
    memory::Peak,
    pod::{Left, Pod},
};

fn main() {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let load = Load {
        mailboxes: numbers.first().copied().unwrap_or(1000),
        messages: numbers.get(1).copied().unwrap_or(200),
    };
    let pod = Pod::new();
    fill(&pod.volume, load, 0);
    let Load { mailboxes, messages } = load;
    println!(
        "| {mailboxes} mailboxes of {messages} messages | a run | plain restic backup | a run takes |\n|---|---|---|---|"
    );
    compare(&pod, "the first", "1");
    // One of a hundred mailboxes got a message.
    fill(&pod.volume, load, mailboxes / 100);
    compare(&pod, "the next, a message more in 1 % of the mailboxes", "2");
    let size = |path: &Path| {
        volume::contents(path).iter().map(|(_, content)| content.len()).sum::<usize>() as f64 / 1e6
    };
    let (mail, ours, plain) =
        (size(&pod.volume.0), size(&pod.repo.path("repository")), size(&pod.repo.path("plain")));
    println!("| size of {mail:.0} MB | {ours:.0} MB | {plain:.0} MB | {:.2} times |", ours / plain);
}

/// Both, the plain one first: what it read is in memory for the other, as the file system keeps it.
fn compare(pod: &Pod, what: &str, run: &str) {
    let (plain, plain_peak) = measured(|| plain(pod));
    let (ours, peak) = measured(|| {
        let left: Left<BackupDone> = pod.backs_up(pod.backup(run));
        assert!(left.done.as_ref().is_some_and(|done| done.snapshot.is_some()), "{left:?}");
    });
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    println!(
        "| {what} | {:.1} s, {peak} MiB | {:.1} s, {plain_peak} MiB | {ratio:.2} times as long |",
        ours.as_secs_f64(),
        plain.as_secs_f64(),
    );
}

fn measured(work: impl FnOnce()) -> (Duration, u64) {
    let peak = Peak::watch(&["restic", "mail-agent"]);
    let began = Instant::now();
    work();
    (began.elapsed(), peak.mebibytes())
}

/// The same files, as somebody without this project would do it.
fn plain(pod: &Pod) {
    let restic = |arguments: &[&str]| {
        let mut command = Command::new(repository::program());
        command
            .args(arguments)
            .current_dir(&pod.volume.0)
            .env("RESTIC_REPOSITORY", pod.repo.path("plain"))
            .env("RESTIC_PASSWORD", repository::PASSWORD)
            .env("RESTIC_CACHE_DIR", pod.repo.path("plain-cache"))
            .env("GOGC", "20")
            .env("GOMAXPROCS", "2")
            .stdout(Stdio::null());
        assert!(command.status().unwrap().success());
    };
    if !pod.repo.path("plain/config").exists() {
        restic(&["init"]);
    }
    restic(&["backup", "conf", "sieve", "spool"]);
}
