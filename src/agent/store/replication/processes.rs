//! The processes of Cyrus that trouble is about: those that serve clients are ended when they cannot send any more.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// What serves clients, and sends what it changes before it answers.
const SERVING: [&str; 5] = ["imapd", "lmtpd", "pop3d", "timsieved", "httpd"];

/// Ends the process `pid`, if it is one of those that serve clients: its connection to the replica is broken for as long as
/// it lives, and its successor makes a new one. Cyrus ends it after the command it is at.
pub fn end(pid: u32) {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(id) = id.filter(|_| serves(&name)) {
        tracing::info!(pid, name = name.trim(), "a process that cannot send to the replica is ended");
        // One that has ended by itself needs no signal.
        let _ = kill_process(id, Signal::TERM);
    }
}

fn serves(name: &str) -> bool {
    SERVING.contains(&name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_serves_clients_is_ended() {
        assert!(serves("imapd\n") && serves("lmtpd"));
        assert!(!serves("sync_client\n") && !serves("cyrmaster") && !serves(""));
        // This test is none of them, and lives on.
        end(std::process::id());
    }
}
