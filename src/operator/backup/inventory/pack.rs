//! Objects as JSON lines in zstd, and back. The same objects are the same bytes, so that a repository stores them once.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde_json::Value;

use super::kind::Kind;

/// Fixed, as all that decides the bytes.
const LEVEL: i32 = 6;
/// A Secret has room for so much beside its other fields.
pub const LARGEST: usize = 900 << 10;
/// A line is shorter: the API server takes no larger object.
const LONGEST: u64 = 4 << 20;
/// All lines together are shorter: what does not end is no list of objects.
const ALL: u64 = 4 << 30;

/// Why lines cannot be read.
#[derive(thiserror::Error, Debug)]
pub enum Damaged {
    /// It is cut off, or no zstd.
    #[error("the objects cannot be unpacked: {0}")]
    Packing(#[from] io::Error),
    /// A line is something else.
    #[error("line {0} of the objects: {1}")]
    Line(u64, String),
}

/// Packs objects: those of each kind into a frame of their own, whatever the order in which they come.
#[derive(Default)]
pub struct Packer {
    frames: [Option<zstd::Encoder<'static, Vec<u8>>>; Kind::ALL.len()],
}

impl Packer {
    /// Adds an object of this kind, after those of the kind that were added before.
    ///
    /// # Errors
    /// No memory is left.
    pub fn put(&mut self, kind: Kind, object: &Value) -> io::Result<()> {
        let frame = &mut self.frames[kind as usize];
        let frame = match frame {
            Some(frame) => frame,
            None => frame.insert(encoder()?),
        };
        serde_json::to_writer(&mut *frame, object)?;
        frame.write_all(b"\n")
    }

    /// All that was added, in the order in which it is to be made.
    ///
    /// # Errors
    /// No memory is left.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let mut packed = Vec::new();
        for frame in self.frames.into_iter().flatten() {
            packed.append(&mut frame.finish()?);
        }
        Ok(packed)
    }
}

fn encoder() -> io::Result<zstd::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// What was packed, in parts that fit into Secrets.
pub fn parts(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    packed.chunks(LARGEST)
}

/// The objects of what was packed, one after the other. Nothing follows an error.
///
/// # Errors
/// No memory is left.
pub fn objects(packed: &[u8]) -> io::Result<impl Iterator<Item = Result<Value, Damaged>> + use<'_>> {
    let mut input = BufReader::new(zstd::Decoder::new(packed)?.take(ALL));
    // Nothing is no frame.
    let (mut number, mut line, mut over) = (0_u64, Vec::new(), packed.is_empty());
    Ok(std::iter::from_fn(move || {
        if over {
            return None;
        }
        line.clear();
        number += 1;
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        let object = match (read, line.last()) {
            (Err(error), _) => Err(error.into()),
            (Ok(0), _) => return None,
            (Ok(_), Some(b'\n')) => {
                serde_json::from_slice(&line).map_err(|error| Damaged::Line(number, error.to_string()))
            }
            _ => Err(Damaged::Line(number, "it has no end".to_owned())),
        };
        over = object.is_err();
        Some(object)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn packed(objects: &[(Kind, Value)]) -> Vec<u8> {
        let mut packer = Packer::default();
        for (kind, object) in objects {
            packer.put(*kind, object).unwrap();
        }
        packer.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Result<Vec<Value>, Damaged> {
        objects(packed)?.collect()
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(packed(&[]).is_empty());
        assert!(unpacked(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_cut_off_or_no_list_is_refused() {
        let whole = packed(&[(Kind::Mailbox, json!({"a": 1})), (Kind::Group, json!({"b": 2}))]);
        assert_eq!(unpacked(&whole).unwrap().len(), 2);
        unpacked(&whole[..whole.len() - 3]).unwrap_err();
        let mut altered = whole.clone();
        let last = altered.len() - 1;
        altered[last] ^= 1;
        unpacked(&altered).unwrap_err();
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert!(matches!(unpacked(&frame("{}\n{}")), Err(Damaged::Line(2, _))));
        assert!(matches!(unpacked(&frame("kind: Mailbox\n")), Err(Damaged::Line(1, _))));
        let endless = "x".repeat(5 << 20);
        assert!(matches!(unpacked(&frame(&endless)), Err(Damaged::Line(1, _))));
    }

    #[test]
    fn parts_fit_into_secrets_and_are_the_whole() {
        let long: Vec<u8> = (0..3 * LARGEST / 4).flat_map(usize::to_le_bytes).collect();
        assert!(parts(&long).all(|part| !part.is_empty() && part.len() <= LARGEST));
        assert_eq!(parts(&long).collect::<Vec<_>>().concat(), long);
    }

    proptest! {
        #[test]
        fn objects_come_out_by_kind_and_else_as_they_went_in(
            went in prop::collection::vec((0..Kind::ALL.len(), "\\PC{0,40}"), 0..60)
        ) {
            let went: Vec<_> = went.into_iter().map(|(kind, text)| (Kind::ALL[kind], json!({"text": text}))).collect();
            let mut expected = went.clone();
            expected.sort_by_key(|(kind, _)| *kind);
            let bytes = packed(&went);
            prop_assert_eq!(&bytes, &packed(&expected), "the order of the kinds does not matter");
            let expected: Vec<_> = expected.into_iter().map(|(_, object)| object).collect();
            prop_assert_eq!(unpacked(&bytes).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpacked(&bytes);
        }
    }
}
