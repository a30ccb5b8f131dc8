//! The stores that take mail back: which of a shard's serves is asked, and asked again when it does not any more.
//!
//! What is asked for may be carried out although no answer came, so that it is asked for again: the stores see to it that
//! nothing is done twice.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{
        resolver::Resolver,
        store::{
            PeerClient, PeerKey,
            restore::protocol::{APPEND, Answer, Append, Ask, Fate, HAVE, Have, Message, Refusal, reason},
        },
    },
    http,
    job::{self, Failed},
};

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_mins(5);
/// A store that does not serve again within this is away: longer than any switch of the primary takes.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for what a store says of its role.
const ROLE: Duration = Duration::from_secs(3);
/// A store that serves may refuse so often what it might do.
const REFUSALS: u32 = 10;

/// The stores of all shards.
pub struct Stores {
    key: PeerKey,
    shards: BTreeMap<u32, job::Stores>,
    serving: BTreeMap<u32, (PeerClient, u64)>,
    /// The shard of a mailbox that was asked for.
    homes: HashMap<String, u32>,
    resolver: Resolver,
    cancel: CancellationToken,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Trouble {
    /// No store serves. All ends with it.
    Away(Failed),
    /// The one that serves does not do it.
    Refuses(String),
}

#[derive(Deserialize)]
struct Role {
    serving: bool,
    epoch: u64,
}

impl Stores {
    /// These, asked with this key.
    #[must_use]
    pub fn new(key: PeerKey, shards: BTreeMap<u32, job::Stores>, cancel: CancellationToken) -> Self {
        let (serving, homes, resolver) = Default::default();
        Self { key, shards, serving, homes, resolver, cancel }
    }

    /// What a mailbox has. It is looked for in the shard where it was, and then in the others: it may have moved.
    ///
    /// # Errors
    /// No store says so.
    pub async fn have(&mut self, first: u32, address: &str) -> Result<Have, Trouble> {
        let shards = self.shards.keys().copied().filter(|shard| *shard != first);
        let shards: Vec<_> =
            [first].into_iter().filter(|shard| self.shards.contains_key(shard)).chain(shards).collect();
        let mut refusal = Refusal::new(reason::NO_MAILBOX, format!("there is no store for {address}"));
        for shard in shards {
            let body = |epoch| head(&Ask { epoch, address: address.to_owned() }, &[]);
            match self.ask(shard, HAVE, body).await?.0 {
                Have::Refused(why) if why.reason == reason::NO_MAILBOX => refusal = why,
                have => {
                    self.homes.insert(address.to_owned(), shard);
                    return Ok(have);
                }
            }
        }
        Ok(Have::Refused(refusal))
    }

    /// Adds messages to a mailbox that was asked for. What became of each, and whether it was asked for more than once.
    ///
    /// # Errors
    /// It is not known to be done.
    pub async fn append(
        &mut self,
        address: &str,
        messages: &[(Message, Bytes)],
    ) -> Result<(Vec<Fate>, bool), Trouble> {
        let Some(shard) = self.homes.get(address).copied() else {
            return Err(Trouble::Refuses(format!("it is not known which store has {address}")));
        };
        let about: Vec<_> = messages.iter().map(|(message, _)| message.clone()).collect();
        let bodies: Vec<_> = messages.iter().map(|(_, bytes)| bytes).collect();
        let body =
            |epoch| head(&Append { epoch, address: address.to_owned(), messages: about.clone() }, &bodies);
        let (fates, again) = self.ask::<Vec<Fate>>(shard, APPEND, body).await?;
        if fates.len() == messages.len() {
            Ok((fates, again))
        } else {
            Err(Trouble::Refuses("the store's answer is not understood".to_owned()))
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        shard: u32,
        path: &str,
        body: impl Fn(u64) -> io::Result<Bytes>,
    ) -> Result<(T, bool), Trouble> {
        let (mut refusals, mut again) = (0, false);
        loop {
            let (client, epoch) = self.serving(shard).await?;
            let body = body(epoch).map_err(|error| Trouble::Refuses(error.to_string()))?;
            let answered = async {
                let answer = client.send(path, body, WITHIN).await?;
                Ok::<Answer<T>, io::Error>(serde_json::from_slice(&answer)?)
            };
            match answered.await {
                Ok(Answer::Done(done)) => return Ok((done, again)),
                Ok(Answer::Refused(why)) => {
                    refusals += 1;
                    if refusals >= REFUSALS {
                        return Err(Trouble::Refuses(why));
                    }
                    tracing::warn!(shard, why, "a store does not do what it is asked, and is asked again");
                }
                Err(error) => {
                    tracing::warn!(shard, %error, "no answer of a store, it is asked again");
                    refusals += 1;
                    if refusals >= REFUSALS {
                        return Err(Trouble::Refuses(error.to_string()));
                    }
                }
            }
            again = true;
            self.serving.remove(&shard);
            self.pause().await?;
        }
    }

    /// The store that serves a shard, and its epoch; it is waited for.
    async fn serving(&mut self, shard: u32) -> Result<(PeerClient, u64), Trouble> {
        let begun = Instant::now();
        loop {
            if let Some(known) = self.serving.get(&shard) {
                return Ok(known.clone());
            }
            let why = match self.find(shard).await {
                Ok(found) => {
                    self.serving.insert(shard, found);
                    continue;
                }
                Err(why) => why,
            };
            if begun.elapsed() >= PATIENCE {
                let message = format!("no store of shard {shard} serves: {why}");
                return Err(Trouble::Away(Failed { reason: "StoreUnavailable".to_owned(), message }));
            }
            self.pause().await?;
        }
    }

    async fn find(&self, shard: u32) -> io::Result<(PeerClient, u64)> {
        let stores = self.shards.get(&shard).ok_or(io::ErrorKind::NotFound)?;
        let mut why = io::Error::other("none says that it does");
        for pod in 0..stores.pods {
            let host = stores.host.replace("{pod}", &pod.to_string());
            match timeout(ROLE, self.role(&host, stores.port))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            {
                Ok(Role { serving: true, epoch }) => {
                    return Ok((PeerClient::new(host, self.key.clone()).at(stores.port), epoch));
                }
                Ok(_) => {}
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn role(&self, host: &str, port: u16) -> io::Result<Role> {
        let addresses = self.resolver.lookup(host).await?;
        let address = addresses.first().ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect((*address, port)).await?;
        Ok(serde_json::from_slice(&http::fetch(stream, host, "/role", 64 << 10).await?)?)
    }

    async fn pause(&self) -> Result<(), Trouble> {
        tokio::select! {
            () = sleep(PAUSE) => Ok(()),
            () = self.cancel.cancelled() => {
                let message = "it was asked to end".to_owned();
                Err(Trouble::Away(Failed { reason: "Cancelled".to_owned(), message }))
            }
        }
    }
}

/// A request: a line of JSON, and what follows it.
fn head(ask: &impl Serialize, bodies: &[&Bytes]) -> io::Result<Bytes> {
    let mut body = BytesMut::from(&serde_json::to_vec(ask)?[..]);
    body.put_u8(b'\n');
    for bytes in bodies {
        body.extend_from_slice(bytes);
    }
    Ok(body.freeze())
}
