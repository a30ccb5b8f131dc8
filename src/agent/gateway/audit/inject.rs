//! One message into Postfix by SMTP (RFC 5321), on the loopback port that resolves no aliases and asks no milters.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::journal::JournalId;

/// Longest wait for a reply; the last comes when the message is on the disk.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest line that Postfix writes.
const LONGEST: u64 = 4096;

/// Why Postfix has not taken it.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// It did not answer.
    #[error("no answer in time")]
    Silent,
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// An address cannot be told.
    #[error("an address has a line break")]
    Address,
}

struct Client {
    replies: BufReader<OwnedReadHalf>,
    commands: BufWriter<OwnedWriteHalf>,
}

/// Hands the message over for all of `recipients`, or for none; gives Postfix' name for it.
pub(super) async fn inject(
    address: SocketAddr,
    id: JournalId,
    sender: &[u8],
    recipients: &[String],
    message: &[u8],
) -> Result<String, Error> {
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    if breaks(sender) || recipients.iter().any(|it| breaks(it.as_bytes())) {
        return Err(Error::Address);
    }
    let (read, write) = TcpStream::connect(address).await?.into_split();
    let mut client = Client { replies: BufReader::new(read), commands: BufWriter::new(write) };
    client.reply().await?;
    client.say(b"EHLO localhost").await?;
    client.say(&[b"MAIL FROM:<", sender, b"> BODY=8BITMIME"].concat()).await?;
    for recipient in recipients {
        client.say(format!("RCPT TO:<{recipient}>").as_bytes()).await?;
    }
    client.say(b"DATA").await?;
    client.commands.write_all(format!("Journal-Id: {id}\r\n").as_bytes()).await?;
    client.data(message).await?;
    let taken = client.say(b".").await?;
    client.commands.write_all(b"QUIT\r\n").await?;
    client.commands.flush().await?;
    taken.rsplit(' ').next().map(|id| id.trim().to_owned()).ok_or(Error::Refused(taken))
}

impl Client {
    async fn say(&mut self, command: &[u8]) -> Result<String, Error> {
        self.commands.write_all(command).await?;
        self.commands.write_all(b"\r\n").await?;
        timeout(PATIENCE, self.commands.flush()).await.map_err(|_| Error::Silent)??;
        self.reply().await
    }

    /// Lines that begin with a dot get another (RFC 5321, 4.5.2); a last line without its end gets one.
    async fn data(&mut self, message: &[u8]) -> Result<(), Error> {
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                self.commands.write_all(b".").await?;
            }
            self.commands.write_all(line).await?;
        }
        if !message.ends_with(b"\r\n") {
            self.commands.write_all(b"\r\n").await?;
        }
        Ok(())
    }

    /// The last line of the reply, if it is a good one.
    async fn reply(&mut self) -> Result<String, Error> {
        loop {
            let mut line = String::new();
            let mut limited = (&mut self.replies).take(LONGEST);
            let read = timeout(PATIENCE, limited.read_line(&mut line)).await.map_err(|_| Error::Silent)??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                let good = line.starts_with('2') || line.starts_with("354");
                return if good { Ok(line) } else { Err(Error::Refused(line.trim().to_owned())) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{net::TcpListener, task::JoinHandle};

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
