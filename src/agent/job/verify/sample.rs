//! Which messages of a mailbox are read over IMAP: so many of a hundred, by chance that the seed decides, and at least one
//! of each mailbox that has any. Pure.

use sha2::{Digest, Sha256};

use crate::backup::manifest::{Folder, Message};

/// The UIDs that are read, folder by folder, of folders for which `served` holds.
#[must_use]
pub fn sample(
    folders: &[(Folder, Vec<Message>)],
    served: impl Fn(&Folder) -> bool,
    percent: u32,
    seed: u64,
) -> Vec<Vec<u32>> {
    let mut chosen = vec![Vec::new(); folders.len()];
    // The one with the least lot is read in any case.
    let mut least: Option<(u64, usize, u32)> = None;
    for (at, (folder, messages)) in folders.iter().enumerate().filter(|(_, (folder, _))| served(folder)) {
        for message in messages.iter().filter(|message| !message.expunged) {
            let lot = lot(seed, &folder.id, message.uid);
            if least.is_none_or(|(least, ..)| lot < least) {
                least = Some((lot, at, message.uid));
            }
            if is_drawn(lot, percent) {
                chosen[at].push(message.uid);
            }
        }
    }
    if let Some((_, at, uid)) = least
        && chosen.iter().all(Vec::is_empty)
    {
        chosen[at].push(uid);
    }
    chosen
}

/// What a message drew.
fn lot(seed: u64, folder: &str, uid: u32) -> u64 {
    let mut sum = Sha256::new();
    sum.update(seed.to_be_bytes());
    sum.update(folder);
    sum.update(uid.to_be_bytes());
    let sum: [u8; 32] = sum.finalize().into();
    sum.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn is_drawn(lot: u64, percent: u32) -> bool {
    (u128::from(lot) * 100) >> 64 < u128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::job::verify::testing::{folder, message};
    use proptest::prelude::*;

    fn mailbox(sizes: &[u32]) -> Vec<(Folder, Vec<Message>)> {
        let ids = (0..).map(|n| format!("f{n}"));
        ids.zip(sizes).map(|(id, size)| (folder(&id), (1..=*size).map(message).collect())).collect()
    }

    fn count(chosen: &[Vec<u32>]) -> usize {
        chosen.iter().map(Vec::len).sum()
    }

    #[test]
    fn about_as_many_are_read_as_were_asked_for_and_others_with_another_seed() {
        let mailbox = mailbox(&[6000, 4000]);
        let of = |seed| sample(&mailbox, |_| true, 5, seed);
        assert!((400..600).contains(&count(&of(1))), "{}", count(&of(1)));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn what_is_not_served_is_not_read() {
        let mut mailbox = mailbox(&[3, 3]);
        for message in &mut mailbox[1].1 {
            message.expunged = true;
        }
        assert_eq!(sample(&mailbox, |_| true, 100, 0), [vec![1, 2, 3], vec![]]);
        assert_eq!(sample(&mailbox, |folder| folder.id == "f1", 100, 0), [vec![], Vec::<u32>::new()]);
    }

    proptest! {
        #[test]
        fn each_mailbox_with_mail_is_read_and_all_of_it_at_a_hundred(
            sizes in proptest::collection::vec(0_u32..6, 0..6), percent in 0_u32..=100, seed in any::<u64>(),
        ) {
            let mailbox = mailbox(&sizes);
            let all: u32 = sizes.iter().sum();
            let chosen = sample(&mailbox, |_| true, percent, seed);
            prop_assert!(count(&chosen) >= usize::from(all > 0));
            if percent == 0 {
                prop_assert_eq!(count(&chosen), usize::from(all > 0));
            }
            prop_assert_eq!(count(&sample(&mailbox, |_| true, 100, seed)), all as usize);
            // Who is drawn at a percentage is drawn at each higher one.
            let more = sample(&mailbox, |_| true, percent.saturating_add(20), seed);
            for (few, more) in chosen.iter().zip(&more) {
                prop_assert!(few.iter().all(|uid| more.contains(uid)));
            }
        }
    }
}
