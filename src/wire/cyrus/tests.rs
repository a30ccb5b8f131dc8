use proptest::prelude::*;

use super::{testing::files, *};

fn read(index: &[u8], cache: &[u8]) -> Result<Vec<(Record, String)>, Error> {
    Index::parse(index)?
        .records()
        .map(|record| {
            let record = record?;
            let headers = cached_headers(cache, record.cache.0 as usize, record.cache.1)?;
            Ok((record, String::from_utf8_lossy(headers).into_owned()))
        })
        .collect()
}

#[test]
fn messages_are_read_with_their_headers_expunged_ones_too() {
    let (index, cache) =
        files(&[(100, false, "Subject: a\r\n"), (200, true, "Subject: b\r\nJournal-Id: 1\r\n")]);
    let read = read(&index, &cache).unwrap();
    assert_eq!((read[0].0.uid, read[0].0.internal_date, read[0].0.expunged), (1, 100, false));
    assert_eq!((read[1].0.uid, read[1].0.internal_date, read[1].0.expunged), (2, 200, true));
    assert_eq!(read[1].1, "Subject: b\r\nJournal-Id: 1\r\n");
    assert_eq!(Index::parse(&index).unwrap().generation, 7);
}

#[test]
fn another_version_is_named() {
    let (mut index, _) = files(&[]);
    index[11] = 20;
    assert_eq!(Index::parse(&index).unwrap_err(), Error::Version(20));
}

proptest! {
    #[test]
    fn whatever_is_changed_or_cut_off_is_noticed(at in 0_usize..700, bit in 0_u8..8, cut in any::<bool>()) {
        let messages = [(100, false, "Subject: a\r\n"), (200, true, "Subject: b\r\n"), (300, false, "Subject: c\r\n")];
        let (index, cache) = files(&messages);
        let whole = read(&index, &cache).unwrap();
        let mut index_broken = index.clone();
        let mut cache_broken = cache.clone();
        if cut {
            index_broken.truncate(at % index.len());
            cache_broken.truncate(at % cache.len());
        } else {
            let (in_index, in_cache) = (at % index.len(), at % cache.len());
            index_broken[in_index] ^= 1 << bit;
            cache_broken[in_cache] ^= 1 << bit;
        }
        prop_assert!(read(&index_broken, &cache).is_err());
        // The generation stands before the entries.
        prop_assert!((!cut && at % cache.len() < 4) || read(&index, &cache_broken).is_err_and(|it| it == Error::Torn));
        prop_assert_eq!(read(&index, &cache).unwrap(), whole);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), offset in 0_usize..500) {
        let _ = Index::parse(&bytes).map(|index| index.records().count());
        let _ = cached_headers(&bytes, offset, 0);
    }
}
