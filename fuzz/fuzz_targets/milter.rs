//! Frames of the milter protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::milter::{Codec, MAX_FRAME},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, MAX_FRAME + 4));
