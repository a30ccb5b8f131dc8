//! An SMTP client that shows every reply: the tests are about reply codes, which mail libraries hide.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use crate::world::World;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A reply: its code and its text, lines joined by a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// A session with a gateway.
pub(crate) struct Smtp {
    stream: BufStream<Box<dyn Stream>>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Smtp {
    /// Port 25 with STARTTLS, as another mail server would come.
    pub(crate) async fn inbound(world: &World) -> Result<Self> {
        Self::with_starttls(world, 25).await
    }

    /// Port 465, logged in.
    pub(crate) async fn submissions(world: &World, user: &str, password: &str) -> Result<Self> {
        let stream = world.tls(TcpStream::connect(world.address(465)).await?).await?;
        let mut smtp = Self { stream: BufStream::new(Box::new(stream)) };
        smtp.expect_greeting().await?;
        smtp.log_in(user, password).await?;
        Ok(smtp)
    }

    /// Port 587 with STARTTLS, logged in.
    pub(crate) async fn submission(world: &World, user: &str, password: &str) -> Result<Self> {
        let mut smtp = Self::with_starttls(world, 587).await?;
        smtp.log_in(user, password).await?;
        Ok(smtp)
    }

    /// Port 587 with STARTTLS.
    pub(crate) async fn submission_without_log_in(world: &World) -> Result<Self> {
        Self::with_starttls(world, 587).await
    }

    /// A session in clear text, after EHLO.
    pub(crate) async fn plain(address: SocketAddr) -> Result<Self> {
        let mut smtp = Self { stream: BufStream::new(Box::new(TcpStream::connect(address).await?)) };
        smtp.expect_greeting().await?;
        Ok(smtp)
    }

    async fn with_starttls(world: &World, port: u16) -> Result<Self> {
        let mut tcp = BufStream::new(TcpStream::connect(world.address(port)).await?);
        read_reply(&mut tcp).await?;
        for command in ["EHLO client.example.com\r\n", "STARTTLS\r\n"] {
            tcp.write_all(command.as_bytes()).await?;
            tcp.flush().await?;
            let reply = read_reply(&mut tcp).await?;
            if reply.code >= 300 {
                return Err(format!("{command:?} was answered {reply:?}").into());
            }
        }
        let stream = world.tls(tcp.into_inner()).await?;
        let mut smtp = Self { stream: BufStream::new(Box::new(stream)) };
        smtp.command("EHLO client.example.com").await?;
        Ok(smtp)
    }

    async fn expect_greeting(&mut self) -> Result<()> {
        let greeting = read_reply(&mut self.stream).await?;
        if greeting.code != 220 {
            return Err(format!("greeted by {greeting:?}").into());
        }
        self.command("EHLO client.example.com").await?;
        Ok(())
    }

    async fn log_in(&mut self, user: &str, password: &str) -> Result<()> {
        let reply = self.auth(user, password).await?;
        if reply.code == 235 { Ok(()) } else { Err(format!("AUTH was answered {reply:?}").into()) }
    }

    /// AUTH PLAIN.
    pub(crate) async fn auth(&mut self, user: &str, password: &str) -> Result<Reply> {
        use base64::Engine;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {token}")).await
    }

    /// Sends one command line and waits for its reply.
    pub(crate) async fn command(&mut self, line: &str) -> Result<Reply> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        read_reply(&mut self.stream).await
    }

    /// A whole transaction; the first reply that is not positive ends it and is returned, else the reply to the message.
    pub(crate) async fn send(&mut self, from: &str, to: &[&str], message: &str) -> Result<Reply> {
        let mut commands = vec![format!("MAIL FROM:<{from}>")];
        commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        commands.push("DATA".to_owned());
        for command in commands {
            let reply = self.command(&command).await?;
            if reply.code >= 400 {
                self.command("RSET").await?;
                return Ok(reply);
            }
        }
        let text = message.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        self.stream.write_all(text.as_bytes()).await?;
        self.command("\r\n.").await
    }
}

async fn read_reply(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Result<Reply> {
    let mut text = Vec::new();
    loop {
        let mut line = String::new();
        let read = timeout(Duration::from_mins(2), stream.read_line(&mut line)).await??;
        if read == 0 {
            return Err("the connection was closed".into());
        }
        let line = line.trim_end();
        text.push(line.get(4..).unwrap_or_default().to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or("a reply without a code")?;
            return Ok(Reply { code, text: text.join(" ") });
        }
    }
}

/// A message of a few lines.
pub(crate) fn message(from: &str, to: &str, subject: &str, body: &str) -> String {
    // An old one is a sign of spam.
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000");
    format!(
        "From: <{from}>\nTo: <{to}>\nSubject: {subject}\nDate: {date}\nMessage-ID: <{}@client.example.com>\n\n{body}\n",
        crate::world::unique("m")
    )
}
