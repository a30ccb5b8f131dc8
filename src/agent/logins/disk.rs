//! The last log-ins on the disk: a line with the key of sources and the time since when they are kept, then one of JSON for
//! each mailbox, compressed by zstd.
//! The file is replaced whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use aws_lc_rs::rand;

use super::accounts::{Accounts, Kept};

/// What the file has, and the key of sources: a new one if there is no file that can be read. A file of a release that did
/// not say since when it is kept begins at `now`.
pub(super) fn load(file: &Path, now: u32) -> (String, Accounts) {
    match read(file) {
        Ok((first, kept)) if !first.is_empty() => {
            let (secret, began) = first.split_once(' ').unwrap_or((&first, ""));
            (secret.to_owned(), Accounts::new(began.parse().unwrap_or(now), kept))
        }
        outcome => {
            if let Err(error) = outcome
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "the last log-ins on the disk cannot be read; they are forgotten");
            }
            (secret(), Accounts::new(now, []))
        }
    }
}

fn read(file: &Path) -> io::Result<(String, Vec<(String, Kept)>)> {
    let mut lines = BufReader::new(zstd::Decoder::new(File::open(file)?)?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let kept = lines.map(|line| Ok(serde_json::from_str(&line?)?));
    Ok((first, kept.collect::<io::Result<_>>()?))
}

pub(super) fn encode(secret: &str, accounts: &Accounts) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    writeln!(encoder, "{secret} {}", accounts.began())?;
    for (address, kept) in accounts.all() {
        serde_json::to_writer(&mut encoder, &(&**address, kept))?;
        writeln!(encoder)?;
    }
    encoder.finish()
}

pub(super) fn save(file: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut handle = File::create(&unfinished)?;
    handle.write_all(content)?;
    handle.sync_all()?;
    fs::rename(&unfinished, file)
}

/// 32 hexadecimal digits; empty without randomness.
fn secret() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_or_else(|_| String::new(), |()| format!("{:032x}", u128::from_be_bytes(bytes)))
}
