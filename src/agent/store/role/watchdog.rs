//! A process of its own that kills Cyrus when the agent cannot: fencing must not depend on an agent that hangs.
//!
//! The agent writes two numbers of 64 bits to its pipe, the group of Cyrus's processes and the time of `CLOCK_BOOTTIME` in
//! nanoseconds until which they may live. When that time passes without a new one, the group is killed, again and again
//! until it is gone. When the pipe is closed, the agent is gone, and the group with it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process_group, test_kill_process_group},
};

use super::clock;

/// Between two kills of what does not go.
const AGAIN: Duration = Duration::from_millis(50);

/// The agent's end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Watchdog(Option<Arc<Mutex<End>>>);

#[derive(Debug)]
struct End {
    pipe: ChildStdin,
    group: u64,
}

impl Watchdog {
    /// Starts the process: this program again, as `watchdog`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("watchdog").env_clear().stdin(Stdio::piped()).spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("it has no pipe"))?;
        // An agent that waits for its watchdog would be worse than one without.
        fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        Ok(Self(Some(Arc::new(Mutex::new(End { pipe, group: 0 })))))
    }

    /// Cyrus's processes are this group from now on, and may live until `deadline`.
    ///
    /// # Errors
    /// The watchdog is gone: Cyrus must not serve.
    pub fn guard(&self, group: Pid, deadline: Duration) -> io::Result<()> {
        self.tell(Some(group.as_raw_nonzero().get().unsigned_abs().into()), deadline)
    }

    /// They may live until `deadline`.
    pub fn extend(&self, deadline: Duration) {
        if let Err(error) = self.tell(None, deadline) {
            tracing::error!(%error, "the watchdog is gone");
        }
    }

    /// There is nothing to guard.
    pub fn rest(&self) {
        // Without a watchdog there is nothing to be told.
        let _ = self.tell(Some(0), Duration::ZERO);
    }

    fn tell(&self, group: Option<u64>, deadline: Duration) -> io::Result<()> {
        let Some(end) = &self.0 else { return Ok(()) };
        let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
        end.group = group.unwrap_or(end.group);
        let deadline = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        let mut message = [0; 16];
        message[..8].copy_from_slice(&end.group.to_le_bytes());
        message[8..].copy_from_slice(&deadline.to_le_bytes());
        // 16 bytes reach the reader whole or not at all: pipe(7).
        end.pipe.write_all(&message)
    }
}

/// What the process does, until its standard input ends.
///
/// # Errors
/// Its standard input cannot be read.
pub fn run() -> io::Result<()> {
    // Unbuffered, for what is in a buffer wakes nobody.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (mut group, mut deadline) = (None, Duration::MAX);
    loop {
        let left = deadline.saturating_sub(clock::now());
        if group.is_some() && left.is_zero() {
            eprintln!("the agent was out of contact for too long: Cyrus is killed");
            end(group.take());
            continue;
        }
        let wait = if group.is_some() { Timespec::try_from(left).ok() } else { None };
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut fds, wait.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut message = [0; 16];
        if input.read_exact(&mut message).is_err() {
            end(group);
            return Ok(());
        }
        let number = |half: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&message[half * 8..half * 8 + 8]);
            u64::from_le_bytes(bytes)
        };
        group = i32::try_from(number(0)).ok().and_then(Pid::from_raw);
        deadline = Duration::from_nanos(number(1));
    }
}

fn end(group: Option<Pid>) {
    let Some(group) = group else { return };
    while test_kill_process_group(group).is_ok() {
        let _ = kill_process_group(group, Signal::KILL);
        std::thread::sleep(AGAIN);
        // Zombies of the agent's count as alive, and only the agent can take them away.
        if std::fs::read_to_string(format!("/proc/{}/stat", group.as_raw_nonzero()))
            .is_ok_and(|stat| stat.contains(") Z "))
        {
            return;
        }
    }
}
