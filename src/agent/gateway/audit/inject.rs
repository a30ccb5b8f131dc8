//! One message into Postfix by SMTP (RFC 5321), on the loopback port that resolves no aliases and asks no milters.

use std::net::SocketAddr;

pub use crate::agent::smtp::Error;
use crate::{
    agent::smtp::{Smtp, check},
    journal::JournalId,
};

/// Hands the message over for all of `recipients`, or for none; gives Postfix' name for it.
pub(super) async fn inject(
    address: SocketAddr,
    id: JournalId,
    sender: &[u8],
    recipients: &[String],
    message: &[u8],
) -> Result<String, Error> {
    check(sender, recipients)?;
    let mut smtp = Smtp::open(address, "localhost").await?;
    smtp.envelope(sender, "BODY=8BITMIME", recipients).await?;
    let taken = smtp.message(format!("Journal-Id: {id}\r\n").as_bytes(), message).await?;
    // It is taken, whatever becomes of the connection.
    let _ = smtp.quit().await;
    taken.rsplit(' ').next().map(|id| id.trim().to_owned()).ok_or(Error::Refused(taken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
        task::JoinHandle,
    };

    /// Takes one message; gives what it was told.
    async fn smtpd(refuses: &'static str) -> (SocketAddr, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (read, mut write) = listener.accept().await.unwrap().0.into_split();
            let (mut lines, mut told, mut data) = (BufReader::new(read).lines(), Vec::new(), false);
            write.write_all(b"220 x\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                let reply: &[u8] = match &*line {
                    _ if !refuses.is_empty() && line.contains(refuses) => b"550 5.1.1 no\r\n",
                    "." => b"250 2.0.0 Ok: queued as 4jdjBw15nzzmFdJ\r\n",
                    "DATA" => b"354 go\r\n",
                    "EHLO localhost" => b"250-x\r\n250 8BITMIME\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ if data => b"",
                    _ => b"250 ok\r\n",
                };
                data = line == "DATA" || data && line != ".";
                told.push(line);
                write.write_all(reply).await.unwrap();
            }
            told
        });
        (address, task)
    }

    #[tokio::test]
    async fn a_message_is_handed_over_with_its_id_and_its_dots() {
        let (address, smtpd) = smtpd("").await;
        let id = JournalId::new(1, [1; 10]);
        let recipients = ["a@x".to_owned(), "b@y".to_owned()];
        let queue_id =
            inject(address, id, b"", &recipients, b"Subject: x\r\n\r\n.\r\n..a\r\nend").await.unwrap();
        assert_eq!(queue_id, "4jdjBw15nzzmFdJ");
        let told = smtpd.await.unwrap();
        let header = format!("Journal-Id: {id}");
        let expected = [
            "EHLO localhost",
            "MAIL FROM:<> BODY=8BITMIME",
            "RCPT TO:<a@x>",
            "RCPT TO:<b@y>",
            "DATA",
            &header,
            "Subject: x",
            "",
            "..",
            "...a",
            "end",
            ".",
            "QUIT",
        ];
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn nothing_is_handed_over_if_one_recipient_is_refused() {
        let (address, smtpd) = smtpd("b@y").await;
        let recipients = ["a@x".to_owned(), "b@y".to_owned()];
        let refused = inject(address, JournalId::new(1, [1; 10]), b"", &recipients, b"x").await;
        assert!(matches!(refused, Err(Error::Refused(text)) if text == "550 5.1.1 no"));
        assert!(!smtpd.await.unwrap().contains(&"DATA".to_owned()));
        let bad = inject(address, JournalId::new(1, [1; 10]), b"a\r\nRCPT TO:<z@z>", &recipients, b"x").await;
        assert!(matches!(bad, Err(Error::Address)));
    }
}
