//! Datagrams of /dev/log: each is printed as one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::syslog::Record;

fuzz_target!(|input: &[u8]| {
    let line = Record::parse(&input.to_vec().into()).to_string();
    assert!(!line.contains(char::is_control));
});
