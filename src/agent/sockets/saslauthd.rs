//! Postfix's questions about passwords, in the protocol of `saslauthd`.
//!
//! One question comes in per connection; `OK`, `NO`, or nothing goes out. Nothing is an answer too: Postfix makes
//! `454` of a connection that closes, and so a failure of ours is never "wrong password".

use std::{path::Path, time::Duration};

use futures::{SinkExt, StreamExt};
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{
    listener,
    passwords::{Passwords, Service, Verdict},
};
use crate::wire::saslauthd::{Codec, Error, Reply, Request};

const CONNECTIONS: usize = 256;
/// For the whole question: Postfix would wait for ever.
const DEADLINE: Duration = Duration::from_secs(20);
/// Whoever guesses passwords is not answered at once.
const DELAY: Duration = Duration::from_secs(1);

/// Answers at `path` until `shutdown`.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    path: &Path,
    passwords: Passwords,
    shutdown: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let listener = listener::bind(path)?;
    Ok(listener::serve(listener, CONNECTIONS, shutdown, move |stream| {
        let passwords = passwords.clone();
        async move {
            match timeout(DEADLINE, converse(stream, passwords)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a question about a password was not answered"),
                Err(_) => tracing::warn!("a question about a password was not answered in time"),
            }
        }
    }))
}

async fn converse(stream: UnixStream, passwords: Passwords) -> Result<(), Error> {
    let mut framed = Framed::new(stream, Codec);
    let Some(request) = framed.next().await.transpose()? else { return Ok(()) };
    if let Some(reply) = answer(&request, &passwords).await {
        framed.send(reply).await?;
    }
    Ok(())
}

/// The answer; none if there is none to be had.
async fn answer(request: &Request, passwords: &Passwords) -> Option<Reply> {
    match passwords.check(Service::Smtp, &request.address(), &request.password, None).await {
        Verdict::Allowed(_) => Some(Reply::Ok),
        Verdict::Denied => {
            sleep(DELAY).await;
            Some(Reply::No)
        }
        Verdict::Locked => {
            sleep(DELAY).await;
            None
        }
        Verdict::Unavailable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::directory::{
        Replica,
        testing::{self, PASSWORD},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What Postfix reads when `login` of `realm` gives this password; empty if the connection closes.
    async fn ask(replica: Replica, login: &[u8], password: &[u8], realm: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mux");
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(&path, Passwords::new(replica), shutdown.clone()).unwrap());
        let mut stream = UnixStream::connect(&path).await.unwrap();
        for field in [login, password, b"smtp", realm] {
            stream.write_u16(u16::try_from(field.len()).unwrap()).await.unwrap();
            stream.write_all(field).await.unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        shutdown.cancel();
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn login_and_realm_are_one_address() {
        assert_eq!(ask(testing::replica(), b"An", PASSWORD, b"X.vn").await, b"\0\x02OK");
        assert_eq!(ask(testing::replica(), b"an@x.vn", PASSWORD, b"").await, b"\0\x02OK");
        assert_eq!(ask(testing::replica(), b"an", b"wrong", b"x.vn").await, b"\0\x02NO");
        assert_eq!(ask(testing::replica(), b"an", PASSWORD, b"").await, b"\0\x02NO");
        assert_eq!(ask(testing::replica(), b"binh", PASSWORD, b"x.vn").await, b"\0\x02NO");
    }

    #[tokio::test]
    async fn without_a_directory_the_connection_closes() {
        assert_eq!(ask(testing::empty(), b"an", PASSWORD, b"x.vn").await, b"");
    }
}
