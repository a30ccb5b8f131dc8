//! Sees that Postfix and nginx serve the certificate that they were given.
//!
//! The served pair comes in, as the kubelet swaps it; a reload of both daemons goes out when it changed. The pair was
//! checked before the operator put it there.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::{fs, time::interval};

use super::daemon::Daemon;

/// How often the files are looked at; the kubelet itself takes up to a minute to swap them.
const EVERY: Duration = Duration::from_secs(10);

/// Watches the pair in `tls_dir`, for ever. Daemons that run when it starts reload once: nobody knows what they have.
pub(super) async fn run(tls_dir: PathBuf, run_dir: PathBuf) {
    watch(&tls_dir, EVERY, || {
        Daemon::Postfix.reload(&run_dir);
        Daemon::Nginx.reload(&run_dir);
    })
    .await;
}

async fn watch(tls_dir: &Path, every: Duration, changed: impl Fn()) {
    let (mut interval, mut served) = (interval(every), None);
    loop {
        interval.tick().await;
        match fingerprint(tls_dir).await {
            Ok(pair) if served != Some(pair) => {
                served = Some(pair);
                changed();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the certificate cannot be read"),
        }
    }
}

/// A hash of both files: a renewal may keep the key, and mtimes of a Secret volume are those of the swap.
async fn fingerprint(tls_dir: &Path) -> std::io::Result<[u8; 32]> {
    let mut context = Context::new(&SHA256);
    for name in ["tls.crt", "tls.key"] {
        context.update(&fs::read(tls_dir.join(name)).await?);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{sync::mpsc, time::timeout};

    #[tokio::test]
    async fn daemons_reload_when_one_of_the_files_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (changes, mut seen) = mpsc::unbounded_channel();
        let path = folder.path().to_owned();
        let task = tokio::spawn(async move {
            watch(&path, Duration::from_millis(10), || changes.send(()).unwrap()).await;
        });
        let mut expect = async |some: bool| {
            let limit = if some { Duration::from_secs(30) } else { Duration::from_millis(200) };
            assert_eq!(timeout(limit, seen.recv()).await.is_ok(), some);
        };
        std::fs::write(folder.path().join("tls.crt"), "one").unwrap();
        expect(false).await;
        std::fs::write(folder.path().join("tls.key"), "key").unwrap();
        expect(true).await;
        expect(false).await;
        std::fs::write(folder.path().join("tls.crt.new"), "two").unwrap();
        std::fs::rename(folder.path().join("tls.crt.new"), folder.path().join("tls.crt")).unwrap();
        expect(true).await;
        task.abort();
    }
}
