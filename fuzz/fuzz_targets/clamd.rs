//! Replies of clamd.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::clamd::{Codec, MAX_REPLY},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, MAX_REPLY));
