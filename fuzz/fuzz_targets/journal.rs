//! Segments of the journal: whatever is read is written again as the same bytes, however the input is cut.
#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::journal::{Decoder, Entry, Name, PlainError, encode, length};

fn read(input: &[u8], buffer: usize) -> Result<(Name, Vec<Entry>), PlainError> {
    let mut decoder = Decoder::new(BufReader::with_capacity(buffer, input))?;
    let mut entries = Vec::new();
    while let Some(head) = decoder.head()? {
        let mut message = Vec::new();
        decoder.message(&mut message)?;
        entries.push(Entry { head, message: vec![message.into()] });
    }
    Ok((decoder.name().clone(), entries))
}

fuzz_target!(|input: &[u8]| {
    let Some((buffer, segment)) = input.split_first() else { return };
    let pieces = read(segment, usize::from(*buffer).max(1));
    let whole = read(segment, 1 << 16);
    assert_eq!(pieces.is_ok(), whole.is_ok());
    let Ok((name, entries)) = whole else { return };
    assert_eq!(length(&name, &entries).expect("it was read"), segment.len() as u64);
    let mut written = Vec::new();
    encode(&name, entries, &mut written).expect("it was read");
    assert_eq!(written, segment);
});
