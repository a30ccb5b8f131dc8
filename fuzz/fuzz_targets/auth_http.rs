//! Headers of nginx, one a line, in a fixed order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::auth_http::Request;

const NAMES: [&str; 7] =
    ["Auth-Method", "Auth-User", "Auth-Pass", "Auth-Protocol", "Auth-Login-Attempt", "Client-IP", "Auth-SSL"];

fuzz_target!(|input: &[u8]| {
    let values: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let header = |name| NAMES.iter().position(|known| *known == name).and_then(|at| values.get(at).copied());
    let _ = Request::parse(header);
});
