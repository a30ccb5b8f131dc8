//! `From` and `Sender` header fields: an address that is read is a slice of the value, without space or control
//! characters outside of quotes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::from::addresses;

fuzz_target!(|input: &[u8]| {
    for address in addresses(input).unwrap_or_default() {
        let (local, domain) = address.rsplit_once('@').expect("an address has an @");
        assert!(domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)));
        assert!(local.starts_with('"') || local.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(input.windows(address.len()).any(|window| window == address.as_bytes()));
    }
});
