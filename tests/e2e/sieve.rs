//! Scripts of a mailbox's owner, put into its store over ManageSieve (RFC 5804) as a gateway would.

use std::{net::SocketAddr, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{Pod, Secret};
use mail_operator::{agent::token::TokenKey, api::Mailbox, directory, names::ports};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use crate::world::{Account, World};

/// Makes `script` the mailbox's active one.
pub(crate) async fn activate(world: &World, account: &Account, script: &str) {
    let shard = world.api::<Mailbox>().get(&account.name).await.unwrap().status.unwrap().shard.unwrap();
    let pod = world.api::<Pod>().get(&format!("mail-store-{shard}-0")).await.unwrap();
    let ip = pod.status.unwrap().pod_ip.unwrap();
    let index = world.api::<Secret>().get("mail-directory").await.unwrap().data.unwrap();
    let index = directory::decode_index(&index[directory::CONTENT].0).unwrap();
    let token = TokenKey::from_hex(&index.token_key).unwrap().mint(&account.address, SystemTime::now());
    let address = SocketAddr::new(ip.parse().unwrap(), ports::CYRUS_SIEVE);
    let mut stream = BufStream::new(TcpStream::connect(address).await.unwrap());
    ok(&mut stream).await;
    let plain = STANDARD.encode(format!("\0{}\0{token}", account.address));
    for command in [
        format!("AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n"),
        format!("PUTSCRIPT \"e2e\" {{{}+}}\r\n{script}\r\n", script.len()),
        "SETACTIVE \"e2e\"\r\n".to_owned(),
    ] {
        stream.write_all(command.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        ok(&mut stream).await;
    }
}

async fn ok(stream: &mut BufStream<TcpStream>) {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the connection was closed");
        if line.starts_with("OK") {
            return;
        }
        assert!(!line.starts_with("NO") && !line.starts_with("BYE"), "{line}");
    }
}
