//! Files like Cyrus', for tests.

/// A message: delivered when, expunged, with these headers.
pub(crate) type Message<'a> = (u32, bool, &'a str);

/// An index and a cache with these messages.
pub(crate) fn files(messages: &[Message]) -> (Vec<u8>, Vec<u8>) {
    let mut cache = 7_u32.to_be_bytes().to_vec();
    let mut index = vec![0; 160];
    let mut put = |at: usize, value: u32| index[at..at + 4].copy_from_slice(&value.to_be_bytes());
    put(0, 7);
    put(8, 19);
    put(12, 160);
    put(16, 112);
    put(20, u32::try_from(messages.len()).unwrap());
    let sum = crc32fast::hash(&index[..156]);
    index[156..160].copy_from_slice(&sum.to_be_bytes());
    for (uid, (date, expunged, headers)) in (1_u32..).zip(messages) {
        let offset = cache.len();
        for item in 0..10 {
            let content = if item == 4 { headers.as_bytes() } else { b"item" };
            cache.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
            cache.extend(content);
            cache.resize(cache.len().next_multiple_of(4), 0);
        }
        let mut record = [0; 112];
        let mut put = |at: usize, value: u32| record[at..at + 4].copy_from_slice(&value.to_be_bytes());
        put(0, uid);
        put(4, *date);
        put(24, u32::try_from(offset).unwrap());
        put(32, u32::from(*expunged) << 31);
        put(104, crc32fast::hash(&cache[offset..]));
        let sum = crc32fast::hash(&record[..108]);
        record[108..].copy_from_slice(&sum.to_be_bytes());
        index.extend(record);
    }
    (index, cache)
}

/// A message as an index tells of it.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub date: u32,
    pub size: u32,
    pub seen: bool,
    pub expunged: bool,
}

/// An index with these messages, and a header that counts them.
pub(crate) fn index(messages: &[Told]) -> Vec<u8> {
    let headers: Vec<_> = messages.iter().map(|it| (it.date, it.expunged, "")).collect();
    let (mut index, _) = files(&headers);
    for (record, told) in index[160..].chunks_exact_mut(112).zip(messages) {
        let flags = u32::from(told.expunged) << 31 | u32::from(told.seen) << 4;
        record[32..36].copy_from_slice(&flags.to_be_bytes());
        let sum = crc32fast::hash(&record[..108]);
        record[108..].copy_from_slice(&sum.to_be_bytes());
    }
    let there = || messages.iter().filter(|it| !it.expunged);
    let count = |count: usize| u32::try_from(count).unwrap();
    let mut put = |at: usize, value: u32| index[at..at + 4].copy_from_slice(&value.to_be_bytes());
    put(36, there().map(|it| it.size).sum());
    put(60, count(there().count()));
    put(124, count(there().filter(|it| !it.seen).count()));
    let sum = crc32fast::hash(&index[..156]);
    index[156..160].copy_from_slice(&sum.to_be_bytes());
    index
}

/// A message with all that a manifest tells of it. `flags` are those of the record, `keywords` the first 32.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub uid: u32,
    pub guid: [u8; 20],
    pub date: u32,
    pub size: u32,
    pub flags: u32,
    pub keywords: u32,
}

/// An index with these messages, in a folder that has this `cyrus.header`.
pub(crate) fn kept(uid_validity: u32, header: &[u8], messages: &[Kept]) -> Vec<u8> {
    let headers: Vec<_> = messages.iter().map(|it| (it.date, false, "")).collect();
    let (mut index, _) = files(&headers);
    for (record, kept) in index[160..].chunks_exact_mut(112).zip(messages) {
        for (at, value) in [(0, kept.uid), (12, kept.size), (32, kept.flags), (36, kept.keywords)] {
            record[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        record[60..80].copy_from_slice(&kept.guid);
        let sum = crc32fast::hash(&record[..108]);
        record[108..].copy_from_slice(&sum.to_be_bytes());
    }
    index[44..48].copy_from_slice(&uid_validity.to_be_bytes());
    index[96..100].copy_from_slice(&crc32fast::hash(header).to_be_bytes());
    let sum = crc32fast::hash(&index[..156]);
    index[156..160].copy_from_slice(&sum.to_be_bytes());
    index
}

/// A header of a folder of this name in Cyrus' notation.
pub(crate) fn header(name: &str) -> Vec<u8> {
    let list = format!("%(T e N \"{name}\" I 8f A %(an lrs))\n");
    [super::header::GREETING, list.as_bytes()].concat()
}

/// A message with all that an index and a cache tell of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Listed<'a> {
    pub uid: u32,
    pub date: u32,
    pub saved: u32,
    pub updated: u32,
    pub modseq: u64,
    pub size: u32,
    pub guid: [u8; 20],
    pub expunged: bool,
    pub flags: u32,
    pub keywords: [u32; 4],
    pub headers: &'a str,
}

/// An index and a cache with these messages.
pub(crate) fn listed(messages: &[Listed]) -> (Vec<u8>, Vec<u8>) {
    let plain: Vec<_> = messages.iter().map(|it| (it.date, it.expunged, it.headers)).collect();
    let (mut index, cache) = files(&plain);
    for (record, told) in index[160..].chunks_exact_mut(112).zip(messages) {
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &told.uid.to_be_bytes());
        put(12, &told.size.to_be_bytes());
        put(28, &told.updated.to_be_bytes());
        put(32, &(u32::from(told.expunged) << 31 | told.flags).to_be_bytes());
        for (at, number) in told.keywords.iter().enumerate() {
            put(36 + 4 * at, &number.to_be_bytes());
        }
        put(52, &told.saved.to_be_bytes());
        put(60, &told.guid);
        put(80, &told.modseq.to_be_bytes());
        let sum = crc32fast::hash(&record[..108]);
        record[108..].copy_from_slice(&sum.to_be_bytes());
    }
    let mut put = |at: usize, bytes: &[u8]| index[at..at + bytes.len()].copy_from_slice(bytes);
    put(28, &messages.iter().map(|it| it.uid).max().unwrap_or_default().to_be_bytes());
    put(44, &1_u32.to_be_bytes());
    put(72, &messages.iter().map(|it| it.modseq).max().unwrap_or_default().to_be_bytes());
    let sum = crc32fast::hash(&index[..156]);
    index[156..160].copy_from_slice(&sum.to_be_bytes());
    (index, cache)
}

/// A header of a folder of this name in Cyrus' notation, with this list of keywords.
pub(crate) fn header_with(name: &str, keywords: &str) -> Vec<u8> {
    let list = format!("%(T e N \"{name}\" I 8f A %(an lrs) U {keywords})\n");
    [super::header::GREETING, list.as_bytes()].concat()
}
