//! The door of a store that serves only while it is primary.
//!
//! What may be served comes in as it changes. Sessions belong to the period in which they began: they end with their
//! transaction when the store drains, and at once when the period is over.

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Door, SESSIONS, turn_away};
use crate::{
    agent::{sockets::listener::accept, store::role::Service},
    failover::Epoch,
};

/// A period in which this store serves.
#[derive(Clone)]
pub(super) struct Period {
    epoch: Epoch,
    service: watch::Receiver<Service>,
}

impl Period {
    /// Whether it goes on, or is being drained.
    pub(super) fn lasts(&self) -> bool {
        match *self.service.borrow() {
            Service::Open(epoch) => epoch == self.epoch,
            Service::Draining => true,
            Service::Closed => false,
        }
    }
}

/// The sessions of the present period.
struct Sessions {
    door: Door,
    service: watch::Receiver<Service>,
    drained: watch::Sender<bool>,
    period: Option<(Period, CancellationToken)>,
    open: bool,
    running: JoinSet<()>,
}

impl Door {
    /// Serves while `service` is open, and turns away whoever comes otherwise, until it is dropped. `drained` says whether
    /// no session is under way.
    pub async fn run_while_open(
        self,
        listener: TcpListener,
        service: watch::Receiver<Service>,
        drained: watch::Sender<bool>,
    ) {
        let mut changes = service.clone();
        let (running, period) = (JoinSet::new(), None);
        let mut sessions = Sessions { door: self, service, drained, period, open: false, running };
        loop {
            let stream = tokio::select! {
                biased;
                news = changes.changed() => match news {
                    Ok(()) => None,
                    Err(_) => return,
                },
                Some(_) = sessions.running.join_next() => None,
                (stream, _) = accept(|| listener.accept()) => Some(stream),
            };
            sessions.follow();
            if let Some(stream) = stream {
                sessions.take(stream);
            }
        }
    }
}

impl Sessions {
    /// Does what the service is now.
    fn follow(&mut self) {
        let service = *self.service.borrow();
        match service {
            Service::Open(epoch) if self.period.as_ref().is_some_and(|(it, _)| it.epoch == epoch) => {}
            Service::Open(epoch) => {
                self.end();
                let period = Period { epoch, service: self.service.clone() };
                self.period = Some((period, CancellationToken::new()));
                self.open = true;
            }
            Service::Draining => {
                self.open = false;
                if let Some((_, close)) = &self.period {
                    close.cancel();
                }
            }
            Service::Closed => self.end(),
        }
        let drained = !self.open && self.running.is_empty();
        self.drained.send_if_modified(|it| std::mem::replace(it, drained) != drained);
    }

    fn end(&mut self) {
        self.running = JoinSet::new();
        (self.period, self.open) = (None, false);
    }

    fn take(&mut self, stream: TcpStream) {
        let (door, full) = (self.door.clone(), self.running.len() >= SESSIONS);
        let period = self.period.clone().filter(|_| self.open && !full);
        self.running.spawn(async move {
            let ended = match period {
                Some((period, close)) => Door { period: Some(period), ..door }.serve(stream, close).await,
                None if full => turn_away(stream, "too many sessions, try again later").await,
                None => turn_away(stream, "this store does not serve now, the other does").await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a session at the door broke");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::agent::store::{metrics::Metrics, provision::Provisioner, testing::directory};
    use tokio::io::AsyncReadExt;

    async fn greeting(listener: std::net::SocketAddr) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(listener).await.unwrap();
        let mut bytes = [0; 64];
        let read = stream.read(&mut bytes).await.unwrap();
        (stream, String::from_utf8_lossy(&bytes[..read]).into_owned())
    }

    #[tokio::test]
    async fn it_serves_in_its_period_only_and_says_when_it_is_drained() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replica = directory();
        let provisioner = Provisioner::that_found(replica.clone(), &[]);
        let door = Door::new("s", (0, address), replica, provisioner, Metrics::default());
        let (service, drained) = (watch::Sender::new(Service::Closed), watch::Sender::new(true));
        let mut is_drained = drained.subscribe();
        tokio::spawn(door.run_while_open(listener, service.subscribe(), drained));
        assert!(greeting(address).await.1.starts_with("421 "));

        let epoch = Epoch::from_number(4).unwrap();
        service.send_replace(Service::Open(epoch));
        is_drained.wait_for(|drained| !*drained).await.unwrap();
        let (mut client, hello) = greeting(address).await;
        assert!(hello.starts_with("220 "), "{hello}");

        service.send_replace(Service::Draining);
        is_drained.wait_for(|drained| *drained).await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert!(rest.starts_with("421 "), "{rest}");
        assert!(greeting(address).await.1.starts_with("421 "));

        service.send_replace(Service::Open(Epoch::from_number(6).unwrap()));
        is_drained.wait_for(|drained| !*drained).await.unwrap();
        let (mut client, hello) = greeting(address).await;
        assert!(hello.starts_with("220 "), "{hello}");
        service.send_replace(Service::Closed);
        let mut rest = String::new();
        // Cut off, without a word.
        let _: io::Result<usize> = client.read_to_string(&mut rest).await;
        assert_eq!(rest, "");
    }

    #[test]
    fn a_period_lasts_until_it_is_drained() {
        let (service, epoch) = (watch::Sender::new(Service::Open(Epoch::NONE)), Epoch::NONE);
        let period = Period { epoch, service: service.subscribe() };
        assert!(period.lasts());
        service.send_replace(Service::Draining);
        assert!(period.lasts());
        service.send_replace(Service::Closed);
        assert!(!period.lasts());
        service.send_replace(Service::Open(Epoch::from_number(2).unwrap()));
        assert!(!period.lasts());
    }
}
