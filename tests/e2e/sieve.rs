//! Scripts of a mailbox's owner, put into its store over ManageSieve (RFC 5804) as a mail program does.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use crate::world::{Account, World, run};

/// Makes `script` the mailbox's active one.
pub(crate) async fn activate(world: &World, account: &Account, script: &str) {
    let mut stream = encrypted(world).await;
    let plain = STANDARD.encode(format!("\0{}\0{}", account.address, account.password));
    for command in [
        format!("AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n"),
        format!("PUTSCRIPT \"e2e\" {{{}+}}\r\n{script}\r\n", script.len()),
        "SETACTIVE \"e2e\"\r\n".to_owned(),
    ] {
        let answer = ask(&mut stream, &command).await;
        assert!(answer.starts_with("OK"), "{answer}");
    }
}

async fn encrypted(world: &World) -> BufStream<impl AsyncRead + AsyncWrite + Unpin> {
    let mut stream = BufStream::new(TcpStream::connect(world.address(4190)).await.unwrap());
    let greeting = answer(&mut stream).await;
    assert!(greeting.contains("\"STARTTLS\"") && greeting.contains("\"SASL\" \"\""), "{greeting}");
    assert!(ask(&mut stream, "STARTTLS\r\n").await.starts_with("OK"));
    let mut stream = BufStream::new(world.tls(stream.into_inner()).await.unwrap());
    let greeting = answer(&mut stream).await;
    assert!(greeting.contains("\"SASL\" \"PLAIN\"") && greeting.contains("vacation"), "{greeting}");
    stream
}

async fn ask(stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>, command: &str) -> String {
    stream.write_all(command.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    answer(stream).await
}

/// All lines up to the one that ends an answer.
async fn answer(stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>) -> String {
    let mut text = String::new();
    loop {
        let start = text.len();
        assert!(stream.read_line(&mut text).await.unwrap() > 0, "the connection was closed: {text}");
        if ["OK", "NO", "BYE"].iter().any(|word| text[start..].starts_with(word)) {
            let literal = text.trim_end().strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            if let Some(length) = literal.and_then(|(_, length)| length.parse::<usize>().ok()) {
                // The text of the answer, and the end of its line.
                stream.read_exact(&mut vec![0; length + 2]).await.unwrap();
            }
            return text;
        }
    }
}

#[test]
fn scripts_are_managed_with_a_password_and_never_in_clear_text() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let plain = |password: &str| STANDARD.encode(format!("\0{}\0{password}", an.address));
        let log_in = |password: &str| format!("AUTHENTICATE \"PLAIN\" \"{}\"\r\n", plain(password));
        let mut clear = BufStream::new(TcpStream::connect(world.address(4190)).await.unwrap());
        answer(&mut clear).await;
        let refused = ask(&mut clear, &log_in(&an.password)).await;
        assert!(refused.starts_with("NO (ENCRYPT-NEEDED)"), "{refused}");
        let mut stream = encrypted(world).await;
        assert!(ask(&mut stream, "LISTSCRIPTS\r\n").await.starts_with("NO"));
        assert!(ask(&mut stream, &log_in("wrong")).await.starts_with("NO \"Invalid"));
        assert!(ask(&mut stream, &log_in(&an.password)).await.starts_with("OK"));
        let bad = ask(&mut stream, "PUTSCRIPT \"x\" {5+}\r\nkeeep\r\n").await;
        assert!(bad.starts_with("NO"), "Cyrus reads it: {bad}");
        assert!(ask(&mut stream, "PUTSCRIPT \"x\" {5+}\r\nkeep;\r\n").await.starts_with("OK"));
        assert!(ask(&mut stream, "LISTSCRIPTS\r\n").await.contains("\"x\""));
        // Whose log-in ends, ends here as well.
        let closed = kube::api::Patch::Merge(json!({"spec": {"state": "Suspended"}}));
        let mailboxes = world.api::<mail_operator::api::Mailbox>();
        mailboxes.patch(&an.name, &kube::api::PatchParams::default(), &closed).await.unwrap();
        let mut rest = String::new();
        let ended = tokio::time::timeout(std::time::Duration::from_mins(1), stream.read_line(&mut rest));
        let ended = ended.await.expect("the session goes on");
        assert!(ended.is_err() || rest.is_empty() || rest.starts_with("BYE"), "{rest}");
    });
}
