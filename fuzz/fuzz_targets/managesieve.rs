//! Commands of ManageSieve before the log-in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::managesieve::{Codec, MAX_COMMAND},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, 2 * MAX_COMMAND));
