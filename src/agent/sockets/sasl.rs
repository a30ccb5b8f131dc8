//! Postfix's questions about passwords, in Dovecot's protocol, since that one says where a client is.
//!
//! A connection of one smtpd comes in, which asks one thing at a time; `OK` or `FAIL` goes out. A failure of ours closes
//! the connection: Postfix makes `454` of it, and so it is never "wrong password".

use std::{net::IpAddr, path::Path, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
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
use crate::{
    store_login,
    wire::{
        sasl::{Codec, Command, Error, Mechanism, Reply, plain},
        secret::Secret,
    },
};

/// Each smtpd of the submission ports holds one.
const CONNECTIONS: usize = 1024;
/// For one answer: Postfix would wait for 10 minutes.
const DEADLINE: Duration = Duration::from_secs(20);
/// Whoever guesses passwords is not answered at once.
const DELAY: Duration = Duration::from_secs(1);
/// What LOGIN asks second.
const PASSWORD: &str = "Password:";

/// Answers at `path` until `shutdown`; `stores` is the password of [`store_login`].
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    path: &Path,
    passwords: Passwords,
    stores: Secret,
    shutdown: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let listener = listener::bind(path)?;
    Ok(listener::serve(listener, CONNECTIONS, shutdown.clone(), move |stream| {
        let conversation = converse(stream, passwords.clone(), stores.clone());
        let shutdown = shutdown.clone();
        async move {
            if let Some(Err(error)) = shutdown.run_until_cancelled(conversation).await {
                tracing::warn!(%error, "a question about a password was not answered");
            }
        }
    }))
}

/// What the client has still to say.
enum Pending {
    Nothing,
    Plain,
    LoginName,
    LoginPassword(Secret),
}

/// What becomes of a command.
enum Step {
    Say(Reply),
    Judge { login: Bytes, password: Secret },
}

async fn converse(stream: UnixStream, passwords: Passwords, stores: Secret) -> Result<(), Error> {
    let mut framed = Framed::new(stream, Codec);
    framed.send(Reply::Greeting).await?;
    let (mut pending, mut from) = (Pending::Nothing, None);
    while let Some(command) = framed.next().await.transpose()? {
        let (id, step) = match command {
            Command::Other => continue,
            Command::Auth { id, mechanism, client, response } => {
                (pending, from) = (Pending::Nothing, client);
                (id, begin(id, mechanism, response, &mut pending))
            }
            Command::Continue(id, response) => {
                (id, go_on(id, response, &mut pending).ok_or(Error::Malformed)?)
            }
        };
        let reply = match step {
            Step::Say(reply) => Some(reply),
            Step::Judge { login, password } if login == store_login::LOGIN => {
                let right = verify_slices_are_equal(password.expose(), stores.expose()).is_ok();
                Some(if right { Reply::Ok(id, store_login::LOGIN.to_owned()) } else { Reply::Fail(id) })
            }
            Step::Judge { login, password } => judge(id, &login, &password, &passwords, from).await,
        };
        // Without an answer the connection closes.
        let Some(reply) = reply else { return Ok(()) };
        framed.send(reply).await?;
    }
    Ok(())
}

fn begin(id: u64, mechanism: Option<Mechanism>, response: Option<Secret>, pending: &mut Pending) -> Step {
    let (text, next) = match (mechanism, response) {
        (None, _) => return Step::Say(Reply::Fail(id)),
        (Some(Mechanism::Plain), Some(message)) => return of_plain(id, &message),
        (Some(Mechanism::Plain), None) => ("", Pending::Plain),
        (Some(Mechanism::Login), Some(name)) => (PASSWORD, Pending::LoginPassword(name)),
        (Some(Mechanism::Login), None) => ("Username:", Pending::LoginName),
    };
    *pending = next;
    Step::Say(Reply::Continue(id, text))
}

/// None if nothing was asked.
fn go_on(id: u64, response: Secret, pending: &mut Pending) -> Option<Step> {
    match std::mem::replace(pending, Pending::Nothing) {
        Pending::Nothing => None,
        Pending::Plain => Some(of_plain(id, &response)),
        Pending::LoginName => {
            *pending = Pending::LoginPassword(response);
            Some(Step::Say(Reply::Continue(id, PASSWORD)))
        }
        Pending::LoginPassword(name) => {
            Some(Step::Judge { login: Bytes::copy_from_slice(name.expose()), password: response })
        }
    }
}

fn of_plain(id: u64, message: &Secret) -> Step {
    match plain(message) {
        Some((login, password)) => Step::Judge { login, password },
        None => Step::Say(Reply::Fail(id)),
    }
}

/// The answer; none if there is none to be had.
async fn judge(
    id: u64,
    login: &[u8],
    password: &Secret,
    passwords: &Passwords,
    from: Option<IpAddr>,
) -> Option<Reply> {
    let verdict = timeout(DEADLINE, passwords.check(Service::Smtp, login, password, from)).await;
    match verdict.unwrap_or(Verdict::Unavailable) {
        Verdict::Allowed(admission) => Some(Reply::Ok(id, admission.found.address)),
        Verdict::Denied => {
            sleep(DELAY).await;
            Some(Reply::Fail(id))
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
    use crate::agent::{
        directory::{
            Replica,
            testing::{self, PASSWORD as RIGHT},
        },
        logins::Logins,
    };
    use base64::{Engine, prelude::BASE64_STANDARD};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};

    /// What Postfix reads in answer to these lines, one after the other; an empty line if the connection closes.
    async fn ask(replica: Replica, lines: &[String]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sasl");
        let shutdown = CancellationToken::new();
        let logins = Logins::open(folder.path());
        let passwords = Passwords::new(replica, logins.clone());
        let server = tokio::spawn(serve(&path, passwords, Secret::new("s3"), shutdown.clone()).unwrap());
        let mut stream = BufStream::new(UnixStream::connect(&path).await.unwrap());
        stream.write_all(b"VERSION\t1\t1\nCPID\t7\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut line = String::new();
        while line != "DONE\n" {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0);
        }
        let mut answers = Vec::new();
        for question in lines {
            stream.write_all(format!("{question}\n").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).await.unwrap();
            answers.push(answer);
        }
        let home = IpAddr::from([203, 0, 113, 7]);
        let ok = answers.iter().any(|answer| answer.starts_with("OK\t1\tuser=an"));
        assert_eq!(logins.knows("an@x.vn", home), ok, "the client's address is known");
        shutdown.cancel();
        server.await.unwrap();
        answers
    }

    fn auth(mechanism: &str, response: &[u8]) -> String {
        let response = BASE64_STANDARD.encode(response);
        format!(
            "AUTH\t1\t{mechanism}\tservice=smtp\tnologin\tlip=10.0.0.1\trip=203.0.113.7\tsecured\tresp={response}"
        )
    }

    fn then(response: &[u8]) -> String {
        format!("CONT\t1\t{}", BASE64_STANDARD.encode(response))
    }

    #[tokio::test]
    async fn plain_and_login_are_answered_with_the_mailbox_one_after_the_other_on_one_connection() {
        let message = [b"\0An@X.vn\0", RIGHT].concat();
        let bare = |mechanism: &str| auth(mechanism, b"").replace("\tresp=", "");
        let lines = [
            auth("PLAIN", b"\0an@x.vn\0wrong"),
            auth("PLAIN", b"nonsense"),
            auth("GSSAPI", b""),
            bare("PLAIN"),
            then(&message),
            bare("LOGIN"),
            then(b"an@x.vn"),
            then(RIGHT),
            auth("LOGIN", b"an@x.vn"),
            then(RIGHT),
            auth("PLAIN", &message),
        ];
        let (ok, fail) = ("OK\t1\tuser=an@x.vn\n", "FAIL\t1\n");
        let (name, password) = ("CONT\t1\tVXNlcm5hbWU6\n", "CONT\t1\tUGFzc3dvcmQ6\n");
        let wanted = [fail, fail, fail, "CONT\t1\t\n", ok, name, password, ok, password, ok, ok];
        assert_eq!(ask(testing::replica(), &lines).await, wanted);
    }

    #[tokio::test]
    async fn stores_have_a_log_in_of_their_own() {
        let lines = [auth("PLAIN", b"\0store\0s4"), auth("PLAIN", b"\0store\0s3")];
        assert_eq!(ask(testing::empty(), &lines).await, ["FAIL\t1\n", "OK\t1\tuser=store\n"]);
    }

    #[tokio::test]
    async fn without_a_directory_the_connection_closes() {
        let message = [b"\0an@x.vn\0", RIGHT].concat();
        assert_eq!(ask(testing::empty(), &[auth("PLAIN", &message)]).await, [""]);
    }
}
