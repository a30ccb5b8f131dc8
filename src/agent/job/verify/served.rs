//! Reads what Cyrus serves, mailbox by mailbox, over a few connections: all folders with the numbers of their messages, and of
//! the messages a sample.

use std::io;

use futures::{StreamExt, stream};
use tokio::task::spawn_blocking;

use super::{
    compare::{self, Served, is_served},
    files,
    findings::{Findings, Kind},
    sample::sample,
    scratch::Scratch,
    server::Server,
    session::Session,
};
use crate::{
    backup::manifest::{Contents, Entry, Head},
    job::{Counted, VerifyWork},
};

/// So many mailboxes are read at once.
const AT_ONCE: usize = 4;
/// After so many sessions that broke the rest is not tried: each may have taken a minute.
const BROKEN: usize = 10;

/// What reads.
pub struct Reader<'a> {
    /// From which Cyrus.
    pub server: &'a Server,
    /// Where the manifests are.
    pub scratch: &'a Scratch,
    /// Of which store, and when.
    pub head: &'a Head,
    /// How much of it.
    pub work: &'a VerifyWork,
}

/// What came of one mailbox, or of all.
#[derive(Default)]
pub struct Came {
    /// What is wrong.
    pub findings: Findings,
    /// How much was read.
    pub counted: Counted,
    /// Sessions that broke.
    broken: usize,
}

impl Came {
    fn add(&mut self, other: Self) {
        self.findings.merge(other.findings);
        self.counted.mailboxes += other.counted.mailboxes;
        self.counted.read += other.counted.read;
        self.broken += other.broken;
    }
}

impl Reader<'_> {
    /// Reads these mailboxes. `told` hears after each how much was read so far.
    pub async fn read(&self, entries: &[Entry], told: impl Fn(&Counted)) -> Came {
        let mut all = Came::default();
        let with_owner = entries.iter().filter(|entry| entry.mailbox.is_some());
        let mut each = stream::iter(with_owner).map(|entry| self.mailbox(entry)).buffer_unordered(AT_ONCE);
        while let Some(came) = each.next().await {
            all.add(came);
            told(&all.counted);
            if all.broken >= BROKEN {
                all.findings.add(Kind::Folder, None, "too many sessions broke: the rest was not read");
                break;
            }
        }
        all
    }

    async fn mailbox(&self, entry: &Entry) -> Came {
        let mut came = Came::default();
        let mailbox = entry.mailbox.as_deref();
        let (manifest, read) = (self.scratch.manifest(), entry.clone());
        let contents = spawn_blocking(move || files::mailbox(&manifest, &read)).await;
        match contents.map_err(|error| error.to_string()).flatten() {
            Ok(contents) => {
                if let Err(error) = self.contents(&contents, &mut came).await {
                    came.broken = 1;
                    came.findings.add(Kind::Folder, mailbox, error);
                }
            }
            // It could be read before.
            Err(why) => came.findings.add(Kind::Manifest, mailbox, why),
        }
        came
    }

    async fn contents(&self, contents: &Contents, came: &mut Came) -> io::Result<()> {
        let mut session = self.server.session(contents.mailbox.as_deref().unwrap_or_default()).await?;
        let served = open_all(&mut session).await?;
        compare::folders(self.head, contents, &served, &mut came.findings);
        came.counted.mailboxes = 1;
        self.messages(&mut session, contents, &served, came).await?;
        session.close().await;
        Ok(())
    }

    async fn messages(
        &self,
        session: &mut Session,
        contents: &Contents,
        served: &Served,
        came: &mut Came,
    ) -> io::Result<()> {
        let mailbox = contents.mailbox.as_deref();
        let VerifyWork { sample_percent, seed, .. } = self.work;
        let can = |id: &str| served.opened.contains_key(id);
        let chosen =
            sample(&contents.folders, |folder| is_served(folder) && can(&folder.id), *sample_percent, *seed);
        for ((folder, all), asked) in contents.folders.iter().zip(chosen) {
            let Some((name, _)) = served.opened.get(&folder.id).filter(|_| !asked.is_empty()) else {
                continue;
            };
            let mut fetched = Vec::with_capacity(asked.len());
            let done = match session.open_folder(name).await? {
                Ok(_) => session.read(&asked, |message| fetched.push(message)).await?,
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = done {
                came.findings.add(Kind::Message, mailbox, format!("folder {}: {refusal}", folder.id));
            }
            came.counted.read += fetched.iter().filter(|message| message.guid.is_some()).count() as u64;
            compare::messages(mailbox, folder, all, &asked, &fetched, &mut came.findings);
        }
        Ok(())
    }
}

/// Opens each folder of the session's owner. `STATUS` would say the same of many at once, but Cyrus 3.10 tells freed memory in
/// place of a folder's unique id there.
async fn open_all(session: &mut Session) -> io::Result<Served> {
    let mut served = Served::default();
    for name in session.folders().await? {
        match session.open_folder(&name).await? {
            Ok(opened) if opened.id.is_empty() => {
                served.refused.push((name.to_vec(), "it tells no id".to_owned()));
            }
            Ok(opened) => drop(served.opened.insert(opened.id.clone(), (name.to_vec(), opened))),
            Err(refusal) => served.refused.push((name.to_vec(), refusal)),
        }
    }
    Ok(served)
}
