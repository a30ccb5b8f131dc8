//! Prints the objects of a snapshot, encrypted, in the lines of [`job::objects`](crate::job::objects). Nothing of them is written
//! anywhere else, and the file that restic restores goes with the pod: there are passwords in it.

use std::{
    fs,
    io::{self, Write},
};

use age::x25519::Recipient;

use super::context::Context;
use crate::{
    backup::restic::{Failure, Reason, Restore, SnapshotId},
    job::{
        Failed, ObjectsDone, ObjectsWork,
        objects::{FILE, MOST, say},
    },
};

/// What is too large for a log is packed anew, as tightly as that can be read with the usual memory.
const TIGHT: i32 = 19;

/// Prints them.
pub(super) async fn run(work: ObjectsWork, context: &Context) -> ObjectsDone {
    match print(&work, context).await {
        Ok(done) => done,
        Err(failed) => ObjectsDone { failed: Some(failed), ..ObjectsDone::default() },
    }
}

async fn print(work: &ObjectsWork, context: &Context) -> Result<ObjectsDone, Failed> {
    let recipient = work.recipient.parse::<Recipient>();
    let recipient =
        recipient.map_err(|error| failed("KeyUnusable", format!("{:?}: {error}", work.recipient)))?;
    let packed = fetch(work, context).await.map_err(|failure| match failure.reason {
        Reason::NothingMatches => failed(
            "NoObjects",
            "no objects went along with this snapshot (spec.objects of its MailBackup was None)".to_owned(),
        ),
        _ => failure.into(),
    })?;
    let local = |error: io::Error| failed("Failed", format!("the objects cannot be printed: {error}"));
    let packed = tokio::task::spawn_blocking(move || tight(packed)).await;
    let packed = packed.map_err(io::Error::other).and_then(|packed| packed).map_err(local)?;
    if packed.len() > MOST {
        return Err(too_large(packed.len(), &work.snapshot));
    }
    let (lines, done) = say(&packed, &recipient).map_err(local)?;
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush()).map_err(local)?;
    Ok(done)
}

/// The file of the snapshot, as it is.
async fn fetch(work: &ObjectsWork, context: &Context) -> Result<Vec<u8>, Failure> {
    let restic = context.restic(&work.repository);
    restic.version(&mut context.control(&mut |_| ())).await?;
    let snapshot = SnapshotId::parse(&work.snapshot).ok_or_else(|| {
        Failure::new(Reason::SnapshotMissing, format!("{:?} is no id of a snapshot", work.snapshot))
    })?;
    let target = context.folders.scratch.join("brought");
    let restore = Restore { snapshot, paths: vec![FILE.to_owned()], target: target.clone() };
    restic.restore(restore, &mut context.control(&mut |_| ())).await?;
    let file = target.join(FILE.trim_start_matches('/'));
    fs::read(&file).map_err(|error| Failure::new(Reason::Failed, format!("{}: {error}", file.display())))
}

fn tight(packed: Vec<u8>) -> io::Result<Vec<u8>> {
    if packed.len() <= MOST {
        return Ok(packed);
    }
    let mut out = zstd::Encoder::new(Vec::new(), TIGHT)?;
    out.include_checksum(true)?;
    io::copy(&mut zstd::Decoder::new(packed.as_slice())?, &mut out)?;
    out.finish()
}

fn too_large(bytes: usize, snapshot: &str) -> Failed {
    let mib = bytes.div_ceil(1 << 20);
    failed(
        "TooLarge",
        format!(
            "the objects take {mib} MiB, for which the log of a pod has no room; bring them back by hand: restic dump {snapshot} {FILE} | zstdcat | kubectl create -f -"
        ),
    )
}

fn failed(reason: &str, message: String) -> Failed {
    Failed { reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_room_is_left_as_it_is_and_the_rest_is_packed_tightly() {
        let small = zstd::encode_all(&b"{}\n"[..], 1).unwrap();
        assert_eq!(tight(small.clone()).unwrap(), small);
        // Not packed at all: a frame of raw blocks.
        let text = b"{\"kind\":\"Mailbox\"}\n".repeat(MOST / 10);
        let mut large = small;
        for chunk in text.chunks(1 << 16) {
            large.extend(zstd::encode_all(chunk, -7).unwrap());
        }
        large.extend(vec![zstd::encode_all(&b"{}\n"[..], 1).unwrap(); MOST / 12].concat());
        let packed = tight(large.clone()).unwrap();
        assert!(packed.len() < 1 << 20, "{}", packed.len());
        assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), zstd::decode_all(large.as_slice()).unwrap());
    }
}
