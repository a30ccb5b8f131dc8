//! Lines of Postfix' log: what is found in one is a part of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::maillog::{Event, parse};

fuzz_target!(|input: &[u8]| {
    let holds = |part: &[u8]| part.is_empty() || input.windows(part.len()).any(|window| window == part);
    match parse(input) {
        Some(Event::Named { journal_id, .. }) => assert!(holds(journal_id)),
        Some(Event::Answered(answer)) => assert!(holds(answer.to) && holds(answer.text)),
        Some(Event::Removed { .. } | Event::Deleted { .. }) => assert!(input.ends_with(b": removed")),
        Some(Event::Queued { .. } | Event::Requeued { .. } | Event::Expired { .. }) | None => {}
    }
});
