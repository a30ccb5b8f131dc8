//! The processes of a run.

use std::fs;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The processes of a run. What is left of them is killed when nobody follows it any more.
pub(super) struct Group(Option<Pid>);

impl Group {
    /// That of a child which was started in one of its own.
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // One that has ended needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Its first process was waited for.
    pub(super) fn ended(&mut self) {
        self.signal(Signal::KILL);
        self.0 = None;
    }

    /// What its first process has read and written, from files and sockets; none if it is gone.
    pub(super) fn transferred(&self) -> Option<u64> {
        let io = fs::read_to_string(format!("/proc/{}/io", self.0?.as_raw_nonzero())).ok()?;
        let count =
            |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        Some(count("rchar:")?.saturating_add(count("wchar:")?))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
