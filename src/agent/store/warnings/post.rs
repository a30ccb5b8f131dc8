//! The way of a letter: into a gateway's Postfix, over the port for the stores and with their log-in, as Sieve's mail goes.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use crate::{
    agent::{
        resolver::Resolver,
        smtp::{Error, Smtp},
    },
    store_login,
};

/// Where letters are handed in.
pub struct Post {
    /// Host name of the gateways.
    pub host: String,
    /// Their port.
    pub port: u16,
    /// The file with the stores' log-in, as Cyrus reads it.
    pub login_file: PathBuf,
    /// What this store calls itself.
    pub name: String,
    /// The addresses of the gateways.
    pub resolver: Resolver,
}

impl Post {
    /// A session with the first gateway that takes one.
    ///
    /// # Errors
    /// None does, or the log-in cannot be read.
    pub async fn open(&self) -> Result<Smtp, Error> {
        let password = self.password()?;
        let mut failure = io::Error::from(io::ErrorKind::NotFound).into();
        for address in self.resolver.lookup(&self.host).await?.iter() {
            match self.log_in((*address, self.port).into(), &password).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn log_in(&self, gateway: SocketAddr, password: &str) -> Result<Smtp, Error> {
        let mut session = Smtp::open(gateway, &self.name).await?;
        session.log_in(store_login::LOGIN, password).await?;
        Ok(session)
    }

    /// It is read anew each time: the operator may replace it.
    fn password(&self) -> io::Result<String> {
        let text = fs::read_to_string(&self.login_file)?;
        let found = text.lines().find_map(|line| line.strip_prefix("smtp_auth_password:"));
        found.map(|it| it.trim().to_owned()).ok_or_else(|| io::Error::other("there is no password in it"))
    }
}

/// Hands a letter over: from nobody, so that nothing comes back (RFC 3834), and for its `sender`, by which the gate knows
/// whose name it may carry.
///
/// # Errors
/// It is not taken.
pub async fn deliver(session: &mut Smtp, sender: &str, address: &str, message: &str) -> Result<(), Error> {
    session.envelope(b"", &format!("AUTH={sender}"), &[address.to_owned()]).await?;
    session.message(b"", message.as_bytes()).await.map(drop)
}
