//! What agents say of the use of mailboxes, by pages: each agent is asked for what changed since its last page. Cost grows
//! with what changes; a first reading of 100,000 mailboxes is some hundred pages.

use std::collections::HashMap;

use super::super::{
    agents::{self, Beside},
    index::Key,
};
use crate::agent::{logins, store::usage};

/// Pages of one agent in one round: they are in memory together.
const PAGES: usize = 4;
/// Mailboxes on a page.
const LIMIT: usize = 1000;

/// How far an agent was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Names its process; empty before the first page.
    epoch: String,
    next: u64,
    /// Whether it was read to the end once.
    pub complete: bool,
    /// Since when a gateway keeps log-ins, in seconds of Unix time.
    pub began: u32,
}

/// An agent to read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its pod.
    pub pod: Key,
    /// Its address.
    pub ip: String,
    /// What it runs beside.
    pub beside: Beside,
    /// How far it was read.
    pub cursor: Cursor,
}

/// What an agent said of a mailbox.
#[derive(Clone, Debug)]
pub enum Said {
    /// A store.
    Store(usage::Mailbox),
    /// A gateway.
    Gateway(logins::Login),
}

impl Said {
    /// The address of the mailbox, and the uid of its owner.
    #[must_use]
    pub fn whose(&self) -> (&str, &str) {
        match self {
            Self::Store(told) => (&told.address, &told.owner),
            Self::Gateway(told) => (&told.address, &told.owner),
        }
    }
}

/// What reading an agent came to.
#[derive(Clone, Debug)]
pub struct Read {
    /// Its pod.
    pub pod: Key,
    /// How far it is read now.
    pub cursor: Cursor,
    /// Whether there is more.
    pub more: bool,
    /// What it said.
    pub said: Vec<Said>,
}

/// Reads them at the same time. One that does not answer is left out.
pub async fn read(sources: Vec<Source>) -> Vec<Read> {
    let reading = sources.into_iter().map(read_one);
    futures::future::join_all(reading).await.into_iter().flatten().collect()
}

async fn read_one(source: Source) -> Option<Read> {
    let Source { pod, ip, beside, mut cursor } = source;
    let (mut said, mut more) = (Vec::new(), true);
    for _ in 0..PAGES {
        let query = format!("since={}&limit={LIMIT}", cursor.next);
        let (epoch, next, found) = match beside {
            Beside::Store(_) => {
                let page: usage::Page = agents::get(&ip, &format!("/usage?{query}")).await?;
                more = page.more;
                (page.epoch, page.next, page.mailboxes.into_iter().map(Said::Store).collect::<Vec<_>>())
            }
            Beside::Gateway => {
                let page: logins::Page = agents::get(&ip, &format!("/logins?{query}")).await?;
                (more, cursor.began) = (page.more, page.began);
                (page.epoch, page.next, page.logins.into_iter().map(Said::Gateway).collect())
            }
            Beside::Antispam => return None,
        };
        if epoch != cursor.epoch {
            let fresh = cursor.epoch.is_empty() && cursor.next == 0;
            (cursor.epoch, cursor.complete) = (epoch, false);
            if !fresh {
                // Its numbers are others: what this page has is read again.
                (cursor.next, more) = (0, true);
                continue;
            }
        }
        cursor.next = next;
        said.extend(found);
        if !more {
            cursor.complete = true;
            break;
        }
    }
    Some(Read { pod, cursor, more, said })
}

/// How far agents were read.
#[derive(Debug, Default)]
pub struct Cursors(HashMap<Key, (String, Cursor)>);

impl Cursors {
    /// How far the agent of this pod was read, at this address: another address is another process.
    #[must_use]
    pub fn of(&self, pod: &Key, ip: &str) -> Cursor {
        self.0.get(pod).filter(|(at, _)| at == ip).map(|(_, cursor)| cursor.clone()).unwrap_or_default()
    }

    /// It was read so far.
    pub fn set(&mut self, pod: Key, ip: String, cursor: Cursor) {
        self.0.insert(pod, (ip, cursor));
    }

    /// Forgets those of pods that are gone.
    pub fn keep(&mut self, is_there: impl Fn(&Key) -> bool) {
        self.0.retain(|pod, _| is_there(pod));
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, extract::RawQuery, routing::get};

    use super::*;
    use crate::{agent::pages::Wanted, names::ports, operator::mailbox::index::ObjectName};

    /// A store of this process with so many mailboxes, at an address of its own.
    async fn store(ip: &str, epoch: &'static str, mailboxes: u64) {
        let answer = async move |RawQuery(query): RawQuery| {
            let Wanted { since, limit } = Wanted::of(query.as_deref());
            let next = (since + limit as u64).min(mailboxes);
            let told = |n| serde_json::json!({"address": format!("u{n}@x.vn"), "owner": "u", "used": n, "messages": 1, "unseen": 0});
            let page = (since..next).map(told).collect::<Vec<_>>();
            Json(
                serde_json::json!({"epoch": epoch, "next": next, "more": next < mailboxes, "mailboxes": page}),
            )
        };
        let listener = tokio::net::TcpListener::bind((ip, ports::HTTP)).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/usage", get(answer))).await });
    }

    fn source(ip: &str, cursor: Cursor) -> Source {
        Source { pod: ObjectName::new("n", "s").into(), ip: ip.into(), beside: Beside::Store(0), cursor }
    }

    #[tokio::test]
    async fn an_agent_is_read_by_pages_and_from_the_beginning_when_it_is_another_process() {
        store("127.77.1.1", "one", 5500).await;
        let first = read(vec![source("127.77.1.1", Cursor::default())]).await.pop().unwrap();
        assert_eq!((first.said.len(), first.more, first.cursor.complete), (4000, true, false));
        let second = read(vec![source("127.77.1.1", first.cursor)]).await.pop().unwrap();
        assert_eq!((second.said.len(), second.more, second.cursor.complete), (1500, false, true));
        let third = read(vec![source("127.77.1.1", second.cursor.clone())]).await.pop().unwrap();
        assert_eq!((third.said.len(), &third.cursor), (0, &second.cursor));
        let other = Cursor { epoch: "another".into(), ..second.cursor };
        let again = read(vec![source("127.77.1.1", other)]).await.pop().unwrap();
        assert_eq!((again.said.len(), again.cursor.complete), (3000, false));
        assert_eq!(again.said[0].whose(), ("u0@x.vn", "u"));
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_left_out() {
        assert!(read(vec![source("127.77.1.2", Cursor::default())]).await.is_empty());
    }
}
