//! Replies that an LMTP server sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::lmtp::{ClientCodec, MAX_LINE},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, ClientCodec::default, MAX_LINE));
