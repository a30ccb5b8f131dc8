use std::{fs::OpenOptions, io::Write, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;
use crate::{agent::gateway::daemon::tests::fifo, journal::JournalId};

const ID: &str = "019ab8bd397b7b2c41d01f85766bfad9";

/// A gateway's volume, with a Postfix that logs and lists what the test says.
struct World {
    folder: tempfile::TempDir,
    audit: Audit,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

fn begin(folder: tempfile::TempDir) -> World {
    let settings = Settings {
        pod: "mail-gateway-0".into(),
        run_dir: folder.path().to_owned(),
        data_dir: folder.path().join("data"),
        new_volume: true,
        destination: None,
    };
    let stop = CancellationToken::new();
    let (audit, work) = Audit::open(settings, stop.clone()).unwrap();
    World { folder, audit, stop, work: tokio::spawn(work) }
}

impl World {
    fn log(&self, program: &str, text: &str) {
        let file = self.folder.path().join("data/log/mail.log");
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        writeln!(file, "Dec 01 00:56:39 mail postfix/{program}[7]: {text}").unwrap();
    }

    async fn until(&self, what: &str, is: impl Fn(&Report) -> bool) {
        let waiting = async {
            while !is(&self.audit.report()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let done = timeout(Duration::from_mins(1), waiting).await;
        assert!(done.is_ok(), "{what}: {:?}", self.audit.report());
    }

    async fn end(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.work.await.unwrap();
        self.folder
    }
}

#[tokio::test]
async fn what_the_log_says_is_known_also_after_a_restart_and_what_is_missing_is_found_in_no_list() {
    let world = begin(tempfile::tempdir().unwrap());
    world.log("cleanup", &format!("AAAAAA: milter-header-info: header Journal-Id:  {ID} from x: "));
    world.log("qmgr", "AAAAAA: from=<a@b>, size=1, nrcpt=1 (queue active)");
    world.until("it is open", |report| report.open == 1).await;
    let folder = world.end().await;

    let world = begin(folder);
    assert_eq!(world.audit.report().open, 1, "it is remembered");
    assert_eq!(world.audit.report().forgotten, Some(false), "without a journal there is no past");
    world.until("nothing is old enough to be looked for", |report| report.checked.is_some()).await;
    let list = world.folder.path().join("queue");
    let mut asked = BufReader::new(fifo(&world.folder.path().join("queue-postfix"))).lines();
    let answering = tokio::spawn(async move {
        while let Some(token) = asked.next_line().await.unwrap() {
            std::fs::write(&list, format!("end {token}\n")).unwrap();
        }
    });
    // A list that was asked for later: what is too young for one is made older.
    let later = now() + 40_000;
    for asked in [later, later + 1] {
        world.audit.with(|state| state.ledger.compare(&[].into(), asked, &mut Vec::new()));
    }
    assert_eq!(world.audit.report().unaccounted, 1);
    let id = JournalId::parse(ID.as_bytes()).unwrap();
    let (queue_ids, queued) = world.audit.find(id).await.unwrap();
    assert_eq!((queue_ids, queued), (vec!["AAAAAA".to_owned()], vec![]));
    world.log("qmgr", "AAAAAA: removed");
    world.until("it has come to its end", |report| report.open == 0 && report.unaccounted == 0).await;
    answering.abort();
    world.end().await;
}
