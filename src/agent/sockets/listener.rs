//! Sockets that daemons connect to.
//!
//! Connections come in; each is handled by a task of its own, so that a frozen peer holds none but its own. The number
//! of connections is bounded; at shutdown no more are accepted and those that run get [`GRACE`].

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long connections may run on after the shutdown began.
pub const GRACE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens at `path` for any user; a socket that a former process left there is removed.
///
/// # Errors
/// The socket cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// The next connection of a listener. Where none can be accepted there are too many open files: it tries again.
pub async fn accept<C, F: Future<Output = io::Result<C>>>(mut listener: impl FnMut() -> F) -> C {
    loop {
        match listener().await {
            Ok(connection) => return connection,
            Err(error) => tracing::error!(%error, "no connection can be accepted"),
        }
        sleep(PAUSE).await;
    }
}

/// Hands each connection to `handle`, at most `most` at a time, until `shutdown`; then waits for those that run.
/// `handle` must watch `shutdown` wherever it waits for a peer that has nothing under way.
pub async fn serve<F>(
    listener: UnixListener,
    most: usize,
    shutdown: CancellationToken,
    mut handle: impl FnMut(UnixStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(most)));
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(place) = places.clone().acquire_owned().await {
            let connection = handle(accept(|| listener.accept()).await.0);
            tasks.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    drop(listener);
    tasks.close();
    if timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections are cut");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_stale_socket_is_replaced_anyone_may_connect_and_a_frozen_peer_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(bind(&path).unwrap());
        let listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);

        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, 8, shutdown.clone(), |mut stream| async move {
            let mut byte = [0];
            if stream.read_exact(&mut byte).await.is_ok() {
                let _ = stream.write_all(&byte).await;
            }
        }));
        let frozen = UnixStream::connect(&path).await.unwrap();
        let mut lively = UnixStream::connect(&path).await.unwrap();
        lively.write_all(b"x").await.unwrap();
        assert_eq!(lively.read_u8().await.unwrap(), b'x');

        shutdown.cancel();
        drop(frozen);
        server.await.unwrap();
        assert!(UnixStream::connect(&path).await.is_err());
    }
}
