//! What the audit knows, on the queue's volume: replaced whole or not at all, so that a restart forgets nothing.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::tail::Position;
use crate::journal::{completion::Record, ledger::Ledger};

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Since when messages are in the ledger: Unix time in milliseconds.
    pub(super) since: u64,
    /// Up to where the log was read.
    pub(super) position: Position,
    /// What is open.
    pub(super) ledger: Ledger,
    /// What is not in object storage yet.
    pub(super) waiting: Vec<Record>,
    /// Whether the journal has messages from before this volume began; `None` until that is known.
    pub(super) forgotten: Option<bool>,
}

/// What was saved, if anything was. What cannot be read was not: then the log is read from its beginning.
pub(super) fn load(file: &Path) -> io::Result<Option<Checkpoint>> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let plain = zstd::decode_all(&*bytes);
    match plain.and_then(|plain| Ok(serde_json::from_slice(&plain)?)) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => {
            tracing::warn!(%error, "what the audit knew cannot be read: it begins anew with Postfix' log");
            Ok(None)
        }
    }
}

/// Saves it.
pub(super) fn save(file: &Path, checkpoint: &Checkpoint) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut handle = File::create(&unfinished)?;
    handle.write_all(&zstd::encode_all(&*serde_json::to_vec(checkpoint)?, 1)?)?;
    handle.sync_all()?;
    fs::rename(&unfinished, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalId, completion::What};

    #[test]
    fn what_is_saved_is_loaded_and_what_is_damaged_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit");
        assert!(load(&file).unwrap().is_none());
        let what = What::Bounced { recipient: b"\xff@x".to_vec(), dsn: "5.1.1".into() };
        let waiting = vec![Record { id: JournalId::new(1, [2; 10]), at: 3, what }];
        save(&file, &Checkpoint { since: 7, waiting: waiting.clone(), ..Checkpoint::default() }).unwrap();
        let loaded = load(&file).unwrap().unwrap();
        assert_eq!((loaded.since, loaded.waiting), (7, waiting));
        fs::write(&file, zstd::encode_all(&b"{"[..], 1).unwrap()).unwrap();
        assert!(load(&file).unwrap().is_none());
    }
}
