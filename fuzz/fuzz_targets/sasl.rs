//! Requests of the SASL protocol of Dovecot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::{
    same_however_cut,
    wire::sasl::{Codec, MAX_LINE},
};

fuzz_target!(|input: &[u8]| same_however_cut(input, || Codec, MAX_LINE + 1));
