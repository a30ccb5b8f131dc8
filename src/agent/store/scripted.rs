//! A Cyrus of tests, which notes what it is told and answers as it is to, and files like its own.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{back::carry::file_of, password::AdminPassword, provision::Access};
use crate::wire::cyrus::testing::{Listed, header_with, listed as files};

/// What was said to it, and what it answers to a command that begins so.
#[derive(Default)]
pub(super) struct Script {
    pub(super) heard: Vec<String>,
    pub(super) refuses: Vec<(&'static str, &'static str)>,
    /// Folders of `an@x.vn`, each with its id; one that begins with `DELETED` was deleted.
    pub(super) folders: Vec<(&'static str, &'static str)>,
}

pub(super) type Shared = Arc<StdMutex<Script>>;

async fn talk(stream: TcpStream, script: Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK ready\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut line = line.trim_end().to_owned();
        if let Some((before, length)) = line.strip_suffix("+}").and_then(|rest| rest.rsplit_once('{')) {
            let mut message = vec![0; length.parse().unwrap()];
            let before = before.to_owned();
            stream.read_exact(&mut message).await?;
            let mut end = String::new();
            stream.read_line(&mut end).await?;
            line = format!("{before}{}", String::from_utf8_lossy(&message));
        }
        let (tag, command) = line.split_once(' ').unwrap();
        let answer = {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            let refusal = script.refuses.iter().position(|(begin, _)| command.starts_with(begin));
            let refusal = refusal.map(|at| script.refuses.remove(at).1);
            let mut answer = String::new();
            answer += &listed(&script.folders, command);
            if command.starts_with("GETQUOTA") {
                answer += "* QUOTA user/an@x.vn (STORAGE 5 7)\r\n";
            }
            if !command.starts_with("LIST") && !command.starts_with("AUTHENTICATE") {
                script.heard.push(command.to_owned());
            }
            answer + &format!("{tag} {}\r\n", refusal.unwrap_or("OK done"))
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn listed(folders: &[(&str, &str)], command: &str) -> String {
    let deleted = command.starts_with("LIST \"\" \"DELETED/user/an");
    if !deleted && !command.starts_with("LIST \"\" \"user/an") {
        return String::new();
    }
    let all = command.contains("/*@");
    let line = |(place, id): &(&str, &str)| {
        let kept = place.strip_prefix("DELETED");
        let place = kept.unwrap_or(place);
        let wanted = kept.is_some() == deleted && place.contains('/') == all;
        let prefix = if deleted { "DELETED/" } else { "" };
        let id = format!("(/shared/vendor/cmu/cyrus-imapd/uniqueid {id})");
        wanted.then(|| format!("* METADATA \"{prefix}user/an{place}@x.vn\" {id}\r\n"))
    };
    folders.iter().filter_map(line).collect()
}

/// One that listens.
pub(super) async fn cyrus(script: Shared) -> Access {
    let imap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = imap.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = imap.accept().await {
            tokio::spawn(talk(stream, script.clone()));
        }
    });
    Access { address, password: AdminPassword::random().unwrap() }
}

/// Writes the files of a folder, without messages' own.
pub(super) fn put(spool: &Path, id: &str, name: &str, messages: &[Listed]) {
    let folder = file_of(spool, id, 1).unwrap().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let (index, cache) = files(messages);
    fs::write(folder.join("cyrus.index"), index).unwrap();
    fs::write(folder.join("cyrus.cache"), cache).unwrap();
    fs::write(folder.join("cyrus.header"), header_with(name, "($Forwarded)")).unwrap();
}
