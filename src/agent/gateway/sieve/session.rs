//! A client's session: the greeting, STARTTLS, the log-in, and then what it says to its store.

use std::{io, net::IpAddr, sync::Arc, time::SystemTime};

use futures::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

use super::{PATIENCE, Proxy, store};
use crate::{
    agent::{
        directory::Replica,
        gateway::router::stores::LOGIN,
        sockets::passwords::{Admission, Service, Verdict},
    },
    api::{MailboxState, Protocol},
    names::ports,
    wire::{
        managesieve::{Codec, Command, Error as WireError},
        sasl::plain,
        secret::Secret,
    },
};

/// Most commands before the log-in, and most failed log-ins among them.
const COMMANDS: (usize, usize) = (30, 3);
/// What Cyrus 3.10 understands in scripts. A client may ask the store itself when it is logged in.
const SIEVE: &str = "encoded-character comparator-i;ascii-numeric fileinto reject ereject vacation vacation-seconds include editheader envelope environment body imap4flags date mailbox mboxmetadata duplicate relational regex extlists subaddress copy index variables special-use fcc mailboxid";

/// Why a session broke off.
#[derive(thiserror::Error, Debug)]
pub(super) enum Error {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the client went away or was silent for too long")]
    Gone,
    #[error("something was said between STARTTLS and TLS")]
    Injected,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

type Client<S> = Framed<S, Codec>;

/// Serves a client to its end.
pub(super) async fn serve(proxy: &Proxy, stream: TcpStream, from: IpAddr) -> Result<(), Error> {
    let mut client = Framed::new(stream, Codec);
    say(&mut client, &capabilities(false)).await?;
    for _ in 0..COMMANDS.0 {
        let answer = match next(&mut client).await? {
            Command::StartTls => {
                let config = proxy.tls().await?;
                say(&mut client, "OK\r\n").await?;
                let parts = client.into_parts();
                if !parts.read_buf.is_empty() {
                    return Err(Error::Injected);
                }
                let accepted = timeout(PATIENCE, TlsAcceptor::from(Arc::new(config)).accept(parts.io));
                let stream = accepted.await.map_err(|_| Error::Gone)??;
                return encrypted(proxy, Framed::new(stream, Codec), from).await;
            }
            Command::Capability => capabilities(false),
            Command::Noop => "OK\r\n".to_owned(),
            Command::Logout => return say(&mut client, "OK\r\n").await,
            Command::Authenticate(..) => {
                "NO (ENCRYPT-NEEDED) \"Encryption is required: STARTTLS first\"\r\n".to_owned()
            }
            Command::Response(_) | Command::Other => "NO \"STARTTLS and log in first\"\r\n".to_owned(),
        };
        say(&mut client, &answer).await?;
    }
    say(&mut client, "BYE \"Too many commands\"\r\n").await
}

async fn encrypted<S>(proxy: &Proxy, mut client: Client<S>, from: IpAddr) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(&mut client, &capabilities(true)).await?;
    let mut failures = 0;
    for _ in 0..COMMANDS.0 {
        let answer = match next(&mut client).await? {
            Command::Authenticate(mechanism, response) if mechanism == "PLAIN" => {
                let response = match response {
                    Some(response) => Some(response),
                    None => asked(&mut client).await?,
                };
                match log_in(proxy, response, from).await {
                    Ok((store, pass_of)) => {
                        // Cyrus does not list sessions of ManageSieve, so the store cannot end them.
                        tokio::select! {
                            passed = pass(client, store) => return passed,
                            () = revoked(&proxy.replica, &pass_of) => return Ok(()),
                        }
                    }
                    Err(answer) => {
                        failures += 1;
                        answer.to_owned()
                    }
                }
            }
            Command::Capability => capabilities(true),
            Command::Noop => "OK\r\n".to_owned(),
            Command::Logout => return say(&mut client, "OK\r\n").await,
            Command::StartTls => "NO \"TLS is there already\"\r\n".to_owned(),
            Command::Authenticate(..) => "NO \"PLAIN is the only mechanism\"\r\n".to_owned(),
            Command::Response(_) | Command::Other => "NO \"Log in first\"\r\n".to_owned(),
        };
        say(&mut client, &answer).await?;
        if failures == COMMANDS.1 {
            break;
        }
    }
    say(&mut client, "BYE \"Too many commands\"\r\n").await
}

/// The response of a client that did not send it with its command.
async fn asked<S>(client: &mut Client<S>) -> Result<Option<Secret>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(client, "\"\"\r\n").await?;
    match next(client).await? {
        Command::Response(response) => Ok(response),
        _ => Ok(None),
    }
}

/// The way to the store of whoever logs in; what the client is told if there is none.
async fn log_in(
    proxy: &Proxy,
    response: Option<Secret>,
    from: IpAddr,
) -> Result<(TcpStream, Pass), &'static str> {
    const WRONG: &str = "NO \"Invalid login or password\"\r\n";
    const LATER: &str = "NO (TRYLATER) \"Temporary failure, try again later\"\r\n";
    let (login, password) = response.as_ref().and_then(plain).ok_or(WRONG)?;
    let Admission { found, tag, .. } =
        match proxy.passwords.check(Service::Sieve, &login, &password, Some(from)).await {
            Verdict::Allowed(admission) => admission,
            Verdict::Denied => return Err(WRONG),
            Verdict::Locked | Verdict::Unavailable => return Err(LATER),
        };
    let key = proxy.replica.token_key().ok_or(LATER)?;
    let opened = async {
        let until = Instant::now() + LOGIN;
        let address = proxy.stores.locate(found.entry.store, ports::CYRUS_SIEVE, until).await;
        let address = address.map_err(io::Error::other)?;
        store::open(address, &found.address, &key.mint(&found.address, &tag, SystemTime::now())).await
    };
    let opened = opened.await.map_err(|error| {
        tracing::warn!(%error, store = found.entry.store, "a store takes no scripts");
        LATER
    })?;
    Ok((opened, Pass { address: found.address, tag }))
}

/// By what a session was opened: the mailbox, and the tag of the password.
struct Pass {
    address: String,
    tag: String,
}

/// Returns once the directory does not admit the session any more.
async fn revoked(replica: &Replica, pass: &Pass) {
    let mut changed = replica.changed();
    // The sender lives in the replica.
    while changed.changed().await.is_ok() {
        let admitted = replica.find(&pass.address).is_some_and(|found| {
            found.entry.state == MailboxState::Active
                && found.entry.allows(Protocol::ManageSieve)
                && found.entry.credentials().any(|(_, credential)| credential.tag() == pass.tag)
        });
        if replica.loaded() && !admitted {
            return;
        }
    }
}

/// Lets client and store speak until one of them ends. The store ends what is idle.
async fn pass<S>(mut client: Client<S>, mut store: TcpStream) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(&mut client, "OK\r\n").await?;
    let mut parts = client.into_parts();
    // What came right behind the log-in.
    store.write_all(&parts.read_buf).await?;
    copy_bidirectional(&mut parts.io, &mut store).await?;
    Ok(())
}

fn capabilities(encrypted: bool) -> String {
    let (sasl, tls) = if encrypted { ("PLAIN", "") } else { ("", "\"STARTTLS\"\r\n") };
    format!(
        "\"IMPLEMENTATION\" \"mail-operator\"\r\n\"VERSION\" \"1.0\"\r\n\"SASL\" \"{sasl}\"\r\n\"SIEVE\" \"{SIEVE}\"\r\n{tls}OK\r\n"
    )
}

async fn next<S: AsyncRead + Unpin>(client: &mut Client<S>) -> Result<Command, Error> {
    let command = timeout(PATIENCE, client.next()).await.map_err(|_| Error::Gone)?;
    Ok(command.ok_or(Error::Gone)??)
}

async fn say<S: AsyncWrite + Unpin>(client: &mut Client<S>, text: &str) -> Result<(), Error> {
    let said = async {
        client.get_mut().write_all(text.as_bytes()).await?;
        client.get_mut().flush().await
    };
    Ok(timeout(PATIENCE, said).await.map_err(|_| Error::Gone)??)
}
