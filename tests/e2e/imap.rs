//! Reading mail as its owner does: IMAP with TLS through the gateway.

use std::time::Duration;

use async_imap::{Client, Session};
use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use futures::TryStreamExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::world::{Account, World, eventually};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A session of a mailbox's owner.
pub(crate) type Owner = Session<TlsStream<TcpStream>>;

/// Logs in; the error is the server's refusal.
pub(crate) async fn log_in(world: &World, user: &str, password: &str) -> Result<Owner> {
    let stream = world.tls(TcpStream::connect(world.address(993)).await?).await?;
    let mut client = Client::new(stream);
    client.read_response().await?.ok_or("no greeting")?;
    Ok(client.login(user, password).await.map_err(|(error, _)| error)?)
}

/// The messages in INBOX whose subject contains `subject`, as text.
pub(crate) async fn messages(world: &World, account: &Account, subject: &str) -> Result<Vec<String>> {
    let mut session = log_in(world, &account.address, &account.password).await?;
    session.select("INBOX").await?;
    let uids = session.uid_search(format!("SUBJECT \"{subject}\"")).await?;
    let mut found = Vec::new();
    if !uids.is_empty() {
        let set = uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let fetched: Vec<_> = session.uid_fetch(set, "BODY.PEEK[]").await?.try_collect().await?;
        found
            .extend(fetched.iter().filter_map(|f| f.body()).map(|b| String::from_utf8_lossy(b).into_owned()));
    }
    session.logout().await?;
    Ok(found)
}

/// Waits until one message with this subject is in INBOX.
pub(crate) async fn wait_for(world: &World, account: &Account, subject: &str) -> String {
    eventually(
        Duration::from_mins(2),
        &format!("{subject} in the INBOX of {}", account.address),
        async || {
            messages(world, account, subject)
                .await
                .map_err(|e| e.to_string())?
                .pop()
                .ok_or_else(|| "not there".into())
        },
    )
    .await
}

/// A folder's name as IMAP has it: modified UTF-7 (RFC 3501, 5.1.3).
pub(crate) fn name(folder: &str) -> String {
    let engine = GeneralPurpose::new(&alphabet::IMAP_MUTF7, NO_PAD);
    let mut name = String::new();
    for part in folder.split_inclusive(|c: char| c.is_ascii()) {
        let plain = part.find(|c: char| c.is_ascii()).unwrap_or(part.len());
        let bytes: Vec<u8> = part[..plain].encode_utf16().flat_map(u16::to_be_bytes).collect();
        if !bytes.is_empty() {
            name.push('&');
            name.push_str(&engine.encode(bytes));
            name.push('-');
        }
        name += &part[plain..].replace('&', "&-");
    }
    name
}

#[test]
fn names_of_folders_are_encoded() {
    assert_eq!(name("Công văn/2026"), "C&APQ-ng v&AQM-n/2026");
    assert_eq!(name("A & ư, ợ"), "A &- &AbA-, &HuM-");
}
