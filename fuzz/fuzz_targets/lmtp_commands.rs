//! Lines that an LMTP client sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::lmtp::{MAX_LINE, ServerCodec},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, ServerCodec::default, MAX_LINE));
