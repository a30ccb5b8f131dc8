//! How files are got out of a snapshot: many at a time, for restic takes a second or more to begin, and no more than scratch
//! storage holds. Pure.

use std::mem::take;

use super::select::{Item, Source};

/// A round is full with so many bytes.
const BYTES: u64 = 1 << 30;
/// And with so many paths: restic compares each file that it passes with each of them.
const PATHS: usize = 400;
/// Messages of a folder that come by their own paths at a time.
const FILES: usize = 200;
/// Bytes of them.
const PIECE: u64 = 256 << 20;

/// Messages of a folder, in the order in which they are added, and what brings their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The mailbox in the snapshot.
    pub mailbox: String,
    /// Where its folder's files are in the snapshot.
    pub dir: String,
    /// The folder as people see it.
    pub folder: String,
    /// Where they go.
    pub path: String,
    /// The messages; whether the store may still have its bytes.
    pub items: Vec<(Item, bool)>,
    /// Paths in the snapshot that have to be restored.
    pub paths: Vec<String>,
    /// Bytes that come with these paths.
    pub bytes: u64,
}

impl Piece {
    /// The same with these messages alone, whose bytes the store does not have.
    #[must_use]
    pub fn again(self, items: Vec<Item>) -> Vec<Self> {
        let bytes = items.iter().map(|item| u64::from(item.size)).sum();
        let paths = items.iter().map(|item| format!("{}/{}.", self.dir, item.uid)).collect();
        if items.is_empty() {
            return Vec::new();
        }
        let items = items.into_iter().map(|item| (item, false)).collect();
        vec![Self { items, paths, bytes, ..self }]
    }
}

/// The folder of a snapshot that has the files of a mail folder.
#[must_use]
pub fn dir_of(id: &str) -> Option<String> {
    let mut letters = id.chars();
    let (first, second) = (letters.next()?, letters.next()?);
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain.then(|| format!("/spool/uuid/{first}/{second}/{id}"))
}

/// The pieces of a folder. `is_kept` tells of which messages the store still has the bytes.
#[must_use]
pub fn pieces(mailbox: &str, source: Source, is_kept: impl Fn(&Item) -> bool) -> Vec<Piece> {
    let Source { id, folder, path, messages, bytes: all, items } = source;
    let Some(dir) = dir_of(&id) else { return Vec::new() };
    let empty = || Piece {
        mailbox: mailbox.to_owned(),
        dir: dir.clone(),
        folder: folder.clone(),
        path: path.clone(),
        items: Vec::new(),
        paths: Vec::new(),
        bytes: 0,
    };
    let wanted = items.iter().filter(|item| !is_kept(item)).count();
    if wanted > FILES && wanted * 2 >= messages && all <= BYTES {
        let items = items.into_iter().map(|item| (is_kept(&item), item)).map(|(kept, item)| (item, kept));
        return vec![Piece { items: items.collect(), paths: vec![dir.clone()], bytes: all, ..empty() }];
    }
    let (mut pieces, mut piece) = (Vec::new(), empty());
    for item in items {
        let kept = is_kept(&item);
        let size = if kept { 0 } else { u64::from(item.size) };
        let is_full = piece.paths.len() >= FILES || piece.bytes + size > PIECE;
        if is_full && !piece.items.is_empty() {
            pieces.push(std::mem::replace(&mut piece, empty()));
        }
        if !kept {
            piece.paths.push(format!("{dir}/{}.", item.uid));
            piece.bytes += size;
        }
        piece.items.push((item, kept));
    }
    pieces.push(piece);
    pieces
}

/// Pieces that are got together.
#[derive(Debug, Default)]
pub struct Round {
    pieces: Vec<Piece>,
    paths: usize,
    bytes: u64,
}

impl Round {
    /// Adds a piece, and gives those before it if they are enough.
    pub fn push(&mut self, piece: Piece) -> Option<Vec<Piece>> {
        let fits = self.paths + piece.paths.len() <= PATHS && self.bytes + piece.bytes <= BYTES;
        let full = (!fits && !self.pieces.is_empty()).then(|| self.take());
        self.paths += piece.paths.len();
        self.bytes += piece.bytes;
        self.pieces.push(piece);
        full
    }

    /// Whether something of this mailbox is in it.
    #[must_use]
    pub fn has(&self, mailbox: &str) -> bool {
        self.pieces.iter().any(|piece| piece.mailbox == mailbox)
    }

    /// Gives what is left.
    pub fn take(&mut self) -> Vec<Piece> {
        (self.paths, self.bytes) = (0, 0);
        take(&mut self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::restore::protocol::Flags;
    use proptest::prelude::*;

    fn source(sizes: &[u32], messages: usize) -> Source {
        let item = |(uid, size): (u32, &u32)| Item {
            uid,
            guid: uid.to_string(),
            date: 0,
            size: *size,
            flags: Flags::default(),
        };
        let bytes = sizes.iter().map(|size| u64::from(*size)).sum();
        let items = (1..).zip(sizes).map(item).collect();
        Source { id: "ab1".into(), folder: "F".into(), path: "P".into(), messages, bytes, items }
    }

    #[test]
    fn most_of_a_folder_comes_as_a_whole_and_a_few_messages_by_themselves() {
        let whole = pieces("an@x.vn", source(&[10; 300], 600), |_| false);
        let paths = vec!["/spool/uuid/a/b/ab1".to_owned()];
        assert_eq!((whole.len(), &whole[0].paths, whole[0].items.len()), (1, &paths, 300));
        let some = pieces("an@x.vn", source(&[10; 300], 601), |item| item.uid == 2);
        assert_eq!(some.len(), 2);
        assert_eq!(some[0].paths[..2], ["/spool/uuid/a/b/ab1/1.", "/spool/uuid/a/b/ab1/3."]);
        assert_eq!((some[0].items.len(), some[0].items[1].1), (FILES + 1, true));
        let large = pieces("an@x.vn", source(&[200 << 20; 3], 3), |_| false);
        assert_eq!(large.len(), 3);
        assert_eq!(pieces("an@x.vn", Source { id: "../x".into(), ..source(&[1], 1) }, |_| false), []);
    }

    proptest! {
        #[test]
        fn each_message_comes_once_in_order_and_rounds_are_not_too_large(
            folders in prop::collection::vec((prop::collection::vec(0_u32..300 << 20, 0..500), 1_usize..3), 1..6),
        ) {
            let (mut round, mut rounds) = (Round::default(), Vec::new());
            let mut expected = 0;
            for (sizes, more) in &folders {
                expected += sizes.len();
                for piece in pieces("a", source(sizes, sizes.len() * more), |item| item.uid % 7 == 0) {
                    rounds.extend(round.push(piece));
                }
            }
            rounds.push(round.take());
            let uids: Vec<_> = rounds.iter().flatten().flat_map(|it| &it.items).map(|(item, _)| item.uid).collect();
            let whole: Vec<_> = folders.iter().flat_map(|(sizes, _)| 1..=u32::try_from(sizes.len()).unwrap()).collect();
            prop_assert_eq!(uids.len(), expected);
            prop_assert_eq!(uids, whole);
            for pieces in rounds {
                let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
                let paths: usize = pieces.iter().map(|piece| piece.paths.len()).sum();
                prop_assert!(bytes <= BYTES && paths <= PATHS);
            }
        }
    }
}
