//! `mail-operator-model FAULTS [MINUTES]`: searches every state that so many faults lead to.
//!
//! Three of all kinds are hundreds of millions of states, more than most machines hold. With three or more, the kinds that
//! are combinations of others, or variants of them, are left out.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use mail_operator_model::{Backup, Fault, Promise, Shard, check};

fn main() -> ExitCode {
    let mut arguments =
        std::env::args().skip(1).map(|a| a.parse::<u64>().expect("FAULTS [MINUTES], in numbers"));
    let budget = u8::try_from(arguments.next().unwrap_or(3)).expect("few faults");
    let at_most = Duration::from_mins(arguments.next().unwrap_or(24 * 60));
    let faults = if budget < 3 { Fault::all() } else { elementary() };
    let began = Instant::now();
    let report = check(Shard::new(faults, budget, &Promise::ALL), at_most);
    println!("{budget} faults: {report}, {:.0?}", began.elapsed());
    if report.violated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn elementary() -> Vec<Fault> {
    let each = [Fault::Crash, Fault::DiskLost, Fault::DiskHung, Fault::ApiCut, Fault::OneWayCut];
    let mut faults: Vec<_> = each.iter().flat_map(|fault| [fault(0), fault(1)]).collect();
    faults.extend([Fault::PeersCut, Fault::ApiDown, Fault::ApiRestored(Backup::Old)]);
    faults
}
