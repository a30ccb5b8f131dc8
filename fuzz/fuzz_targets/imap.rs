//! Responses of an IMAP server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::imap::{Codec, MAX_RESPONSE},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, MAX_RESPONSE));
