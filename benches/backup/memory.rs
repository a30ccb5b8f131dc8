//! The most memory that processes took, as the kernel counts it for each.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Looks at processes of these names as long as it lives.
pub(crate) struct Peak {
    most: Arc<AtomicU64>,
    watcher: Option<JoinHandle<()>>,
}

impl Peak {
    pub(crate) fn watch(names: &'static [&'static str]) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::downgrade(&most);
        let watcher = thread::spawn(move || {
            while let Some(most) = seen.upgrade() {
                most.fetch_max(now(names), Ordering::Relaxed);
                drop(most);
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { most, watcher: Some(watcher) }
    }

    /// Of them all together, at the worst moment.
    pub(crate) fn mebibytes(mut self) -> u64 {
        let most = self.most.load(Ordering::Relaxed) / 1024;
        self.most = Arc::default();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
        most
    }
}

fn now(names: &[&str]) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let status = processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok());
    let ours = status.filter(|status| {
        let name = status.lines().next().and_then(|line| line.strip_prefix("Name:\t"));
        name.is_some_and(|name| names.contains(&name))
    });
    let resident = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().to_owned();
        line.split(' ').next()?.parse::<u64>().ok()
    };
    ours.filter_map(resident).sum()
}
