//! An index and a cache, the first as long as the first two bytes say; all of it as the header of a folder, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::cyrus::{Index, Place, cached_headers};

fuzz_target!(|input: &[u8]| {
    let _ = Place::parse(input);
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let (index, cache) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    if let Ok(index) = Index::parse(index) {
        for record in index.records().flatten() {
            let _ = cached_headers(cache, record.cache.0 as usize, record.cache.1);
        }
    }
});
