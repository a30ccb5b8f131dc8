//! Requests of Postfix's policy delegation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::policy::{Codec, MAX_LENGTH},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, MAX_LENGTH + 8));
