//! Objects that went along with the mail: where they are in a snapshot, and how they come out of a log.
//!
//! A line of a log is cut in two beyond 16 KiB, and a log begins anew beyond 10 MiB. So they are said in many short lines,
//! `{"objects":{"piece":0,"sealed":…}}`, and more than [`MOST`] bytes are not said at all. Logs are read by many who may not read
//! Secrets, and are sent elsewhere: what is said is encrypted, for a key that the operator makes for each restore.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use age::{
    Decryptor, Encryptor,
    x25519::{Identity, Recipient},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Failed, Repository, Said, latest};
use crate::journal::plain::hex;

/// The key of each Secret with objects that go along. Its value is a part of a stream of zstd.
pub const PART: &str = "objects.jsonl.zst";
/// Where all of it is in a snapshot: JSON lines in zstd, an object in each.
pub const FILE: &str = "/objects/objects.jsonl.zst";
/// So many bytes of zstd are said at the most: as Base64, with what the runtime adds to each line, a log has room for them.
pub const MOST: usize = 6 << 20;
/// So many bytes are said in a line.
const PIECE: usize = 9 << 10;

/// The objects of a snapshot are printed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsWork {
    /// Whence.
    pub repository: Repository,
    /// The snapshot's id.
    pub snapshot: String,
    /// Whom they are encrypted for: a public key of age.
    pub recipient: String,
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsDone {
    /// Why there are none.
    pub failed: Option<Failed>,
    /// How many pieces were said.
    pub pieces: usize,
    /// The SHA-256 of all that they hold, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    objects: Piece,
}

#[derive(Serialize, Deserialize)]
struct Piece {
    piece: usize,
    sealed: String,
}

/// The lines that say `packed` to whom it is for, and what is said at the end.
///
/// # Errors
/// It cannot be encrypted.
pub fn say(packed: &[u8], recipient: &Recipient) -> io::Result<(Vec<String>, ObjectsDone)> {
    let sealed = seal(packed, recipient)?;
    let line = |(piece, bytes): (usize, &[u8])| {
        let line = Line { objects: Piece { piece, sealed: STANDARD.encode(bytes) } };
        serde_json::to_string(&line).unwrap_or_default()
    };
    let lines: Vec<_> = sealed.chunks(PIECE).enumerate().map(line).collect();
    let done = ObjectsDone { failed: None, pieces: lines.len(), sha256: hex(&Sha256::digest(&sealed)) };
    Ok((lines, done))
}

fn seal(packed: &[u8], recipient: &Recipient) -> io::Result<Vec<u8>> {
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient));
    let mut out = encryptor.map_err(io::Error::other)?.wrap_output(Vec::new())?;
    out.write_all(packed)?;
    out.finish()
}

fn open(sealed: &[u8], identity: &Identity) -> io::Result<Vec<u8>> {
    let decryptor = Decryptor::new_buffered(sealed).map_err(io::Error::other)?;
    let mut packed = Vec::new();
    let identities = std::iter::once(identity as &dyn age::Identity);
    decryptor.decrypt(identities).map_err(io::Error::other)?.read_to_end(&mut packed)?;
    Ok(packed)
}

/// What a log says, packed as it is in the snapshot; nothing as long as its end was not said.
///
/// # Errors
/// There are none, the log lacks some, or it is for another key.
pub fn gather(log: &str, identity: &Identity) -> Result<Option<Vec<u8>>, Failed> {
    let Some(Said::Done(done)) = latest::<ObjectsDone>(log) else { return Ok(None) };
    if let Some(failed) = done.failed {
        return Err(failed);
    }
    let lines = log.lines().filter(|line| line.starts_with("{\"objects\":"));
    let pieces: BTreeMap<usize, String> = lines
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .map(|Line { objects }| (objects.piece, objects.sealed))
        .collect();
    let whole = (0..done.pieces).map(|piece| STANDARD.decode(pieces.get(&piece)?).ok());
    let sealed: Option<Vec<_>> = whole.collect();
    let sealed = sealed.map(|pieces| pieces.concat()).filter(|it| hex(&Sha256::digest(it)) == done.sha256);
    let failed = |message| Failed { reason: "LogIncomplete".to_owned(), message };
    let sealed = sealed.ok_or_else(|| failed("the log of the Job lacks some of the objects".to_owned()))?;
    let opened = open(&sealed, identity);
    opened.map(Some).map_err(|error| failed(format!("the log of the Job cannot be decrypted: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(packed: &[u8], identity: &Identity) -> String {
        let (lines, done) = say(packed, &identity.to_public()).unwrap();
        assert!(lines.iter().all(|line| line.len() < 16 << 10));
        lines.join("\n") + "\nsomething else\n" + &Said::Done(done).line() + "\n"
    }

    #[test]
    fn an_end_that_was_not_said_and_a_failure_and_a_hole_are_told_apart() {
        let packed: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let identity = Identity::generate();
        let log = log(&packed, &identity);
        let gather = |log: &str| super::gather(log, &identity);
        let without_end = log.rsplit_once("{\"said\"").unwrap().0;
        assert_eq!(gather(without_end), Ok(None));
        let hole: Vec<_> = log.lines().filter(|line| !line.contains("\"piece\":7,")).collect();
        assert_eq!(gather(&hole.join("\n")).unwrap_err().reason, "LogIncomplete");
        let failed = Failed { reason: "NothingMatches".into(), message: "none went along".into() };
        let done = ObjectsDone { failed: Some(failed.clone()), ..ObjectsDone::default() };
        assert_eq!(gather(&Said::Done(done).line()), Err(failed));
        super::gather(&log, &Identity::generate()).unwrap_err();
    }

    #[test]
    fn the_most_that_is_said_has_room_in_a_log() {
        // Time, stream and tag that the runtime writes before each line.
        let line = PIECE.div_ceil(3) * 4 + "{\"objects\":{\"piece\":1000,\"sealed\":\"\"}}\n".len() + 50;
        // age adds 16 bytes to each 64 KiB.
        assert!((MOST + MOST / 4096 + 1024).div_ceil(PIECE) * line < 10 << 20);
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(packed in prop::collection::vec(any::<u8>(), 0..40_000)) {
            let identity = Identity::generate();
            let log = log(&packed, &identity);
            prop_assert!(packed.len() < 30 || !log.contains(&STANDARD.encode(&packed[..30])));
            prop_assert_eq!(gather(&log, &identity), Ok(Some(packed)));
        }

        #[test]
        fn nothing_makes_it_panic(log in ".{0,80}", piece in any::<usize>()) {
            let identity = Identity::generate();
            let _ = gather(&log, &identity);
            let done = Said::Done(ObjectsDone { pieces: piece.min(9), ..ObjectsDone::default() }).line();
            let _ = gather(&format!("{{\"objects\":{{\"piece\":{piece},\"sealed\":\"{log}\"}}}}\n{done}"), &identity);
        }
    }
}
