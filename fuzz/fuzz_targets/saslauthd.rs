//! Requests of the saslauthd protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::saslauthd::{Codec, MAX_FIELD},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, 4 * (MAX_FIELD + 2)));
