//! What became of messages, from a log of Postfix' to a real S3 server.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use age::x25519::Identity;
use mail_operator::{
    agent::gateway::audit::{Audit, Destination, Settings},
    journal::{
        Name,
        completion::{self, FOLDER, Record},
        retention::Known,
        storage::Storage,
        writer,
    },
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::s3::{BUCKET, S3, until};

const ID: &str = "019ab8bd397b7b2c41d01f85766bfad9";

struct Gateway {
    audit: Audit,
    key: Identity,
    data: PathBuf,
    _work: AbortOnDropHandle<()>,
}

fn gateway(s3: &S3, volume: &str, key: Identity) -> Gateway {
    let data = s3.folder.path().join(volume);
    let settings = Settings {
        pod: "mail-gateway-0".into(),
        run_dir: s3.folder.path().to_owned(),
        data_dir: data.clone(),
        new_volume: !data.exists(),
        destination: Some(Destination {
            storage: s3.storage(BUCKET),
            keys: vec![key.to_public()],
            retention: None,
        }),
    };
    let (audit, work) = Audit::open(settings, CancellationToken::new()).unwrap();
    Gateway { audit, key, data, _work: AbortOnDropHandle::new(tokio::spawn(work)) }
}

impl Gateway {
    fn log(&self, program: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.data.join("log/mail.log")).unwrap();
        writeln!(file, "Dec 01 00:56:39 mail postfix/{program}[7]: {text}").unwrap();
    }

    fn delivered(&self, queue_id: &str, id: &str) {
        self.log("cleanup", &format!("{queue_id}: milter-header-info: header Journal-Id:  {id} from x: "));
        self.log("qmgr", &format!("{queue_id}: from=<a@b>, size=1, nrcpt=1 (queue active)"));
        self.log("lmtp", &format!("{queue_id}: to=<an@x.vn>, relay=mail[/run/agent/lmtp], delay=1, delays=0/0/0/1, dsn=2.1.5, status=sent (250 2.1.5 Ok mail-store-0-0 7 91f3)"));
        self.log("qmgr", &format!("{queue_id}: removed"));
    }

    async fn records(&self, s3: &S3) -> Vec<Record> {
        let storage = s3.storage(BUCKET).within(FOLDER);
        let mut all = Vec::new();
        for (name, _) in storage.list(None, 1000).await.unwrap() {
            let content = storage.get(&name).await.unwrap();
            all.extend(completion::open(&name, &content, std::slice::from_ref(&self.key)).unwrap());
        }
        all
    }
}

fn words(records: &[Record]) -> Vec<(String, &'static str)> {
    records.iter().map(|record| (record.id.to_string(), record.what.word())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_wait_for_a_server_that_is_away_and_are_there_once_it_is_back() {
    let mut s3 = S3::start().await;
    let gateway = gateway(&s3, "volume", Identity::generate());
    let known = async || gateway.audit.report().forgotten == Some(false);
    until("the volume is the first", known).await;
    s3.kill();
    gateway.delivered("AAAAAA", ID);
    until("they wait", async || gateway.audit.report().waiting == 3).await;
    assert_eq!(gateway.audit.report().open, 0, "mail does not wait for them");
    s3.run().await;
    until("they are there", async || gateway.audit.report().waiting == 0).await;
    let expected = ["accepted", "delivered", "closed"].map(|word| (ID.to_owned(), word));
    assert_eq!(words(&gateway.records(&s3).await), expected);
    // Segments are listed without them.
    assert!(s3.storage(BUCKET).list(None, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_volume_over_an_old_journal_is_told_and_one_that_was_there_is_not() {
    let s3 = S3::start().await;
    let storage = s3.storage(BUCKET);
    let earlier = Name::new("mail-gateway-0.019ab8bd397b00000001", 1).unwrap();
    let other = Name::new("mail-gateway-00.019ab8bd397b00000001", 1).unwrap();
    storage.put(&other, &["x".into()]).await.unwrap();
    let first = gateway(&s3, "first", Identity::generate());
    until("another's journal is none of its", async || first.audit.report().forgotten == Some(false)).await;
    storage.put(&earlier, &["x".into()]).await.unwrap();
    let again = gateway(&s3, "first", Identity::generate());
    assert_eq!(again.audit.report().forgotten, Some(false), "its volume is not new");
    let second = gateway(&s3, "second", Identity::generate());
    until("the past is not known", async || second.audit.report().forgotten == Some(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_janitor_deletes_what_is_settled_and_old_of_its_own_gateway_and_nothing_else() {
    const DAY: u64 = 86_400_000;
    let s3 = S3::start().await;
    let gateway = gateway(&s3, "volume", Identity::generate());
    let storage = s3.storage(BUCKET);
    let now = writer::now();
    let put = async |storage: &Storage, folder: &str, pod: &str, number: u64, days: u64| {
        let name = Name::new(&format!("{pod}.019ab8bd397b00000001"), number).unwrap();
        storage.put(&name, &["x".into()]).await.unwrap();
        let file = s3
            .folder
            .path()
            .join("objects")
            .join(BUCKET)
            .join("mail/system")
            .join(folder)
            .join(name.to_string());
        let at = SystemTime::now() - Duration::from_millis(days * DAY);
        File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
    };
    for (number, days) in [(1, 60), (2, 40), (3, 20), (4, 1)] {
        put(&storage, "", "mail-gateway-0", number, days).await;
        put(&storage.within(FOLDER), FOLDER, "mail-gateway-0", number, days).await;
    }
    put(&storage, "", "mail-gateway-00", 1, 60).await;
    let destination = |retention| Destination { storage: storage.clone(), keys: Vec::new(), retention };
    let known = Known { now, retention: 10 * DAY, since: now - 100 * DAY, oldest_open: Some(now - 50 * DAY) };
    gateway.audit.sweep(&destination(Some(10)), known).await.unwrap();
    let left = async || {
        let names = |listed: Vec<(Name, i64)>| {
            listed
                .into_iter()
                .map(|(name, _)| name.to_string()[..16].to_owned() + &name.number().to_string())
                .collect::<Vec<_>>()
        };
        let segments = names(storage.list(None, 100).await.unwrap());
        (segments, names(storage.within(FOLDER).list(None, 100).await.unwrap()).len())
    };
    let of = |numbers: &[u64]| {
        numbers.iter().map(|number| format!("mail-gateway-0.0{number}")).collect::<Vec<_>>()
    };
    let other = || vec!["mail-gateway-00.1".to_owned()];
    assert_eq!(
        left().await,
        ([of(&[2, 3, 4]), other()].concat(), 3),
        "one open message keeps what is younger"
    );
    gateway.audit.sweep(&destination(Some(10)), Known { oldest_open: None, ..known }).await.unwrap();
    assert_eq!(left().await, ([of(&[4]), other()].concat(), 1));
}
