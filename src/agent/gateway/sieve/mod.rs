//! ManageSieve from outside (RFC 5804): nginx cannot pass it on, so the agent does.
//!
//! A client comes in on port 4190, encrypts by STARTTLS and logs in by PLAIN; from then on it speaks with the store that
//! has its mailbox, where it is introduced by a token in place of the password. Nothing is said in clear text but the
//! greeting and STARTTLS. The certificate is read anew for each client, so that a changed one serves at once.

mod session;
mod store;

use std::{io, net::IpAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::router::Stores;
use crate::agent::{
    directory::Replica,
    sockets::{
        listener::{GRACE, accept},
        passwords::Passwords,
    },
};

/// Most clients at a time: a store serves fifty.
const CLIENTS: usize = 100;

/// Passes clients on to the stores. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    /// Checks the passwords.
    pub passwords: Passwords,
    /// Has the key of tokens.
    pub replica: Replica,
    /// Finds the stores.
    pub stores: Stores,
    /// Folder with `tls.crt` and `tls.key`.
    pub tls_dir: Arc<Path>,
}

impl Proxy {
    /// Serves until `stop`.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let (tracker, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CLIENTS)));
        while let Some((stream, peer)) = stop.run_until_cancelled(accept(|| listener.accept())).await {
            // Who finds no place is not kept waiting: the connection closes.
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let (proxy, stop) = (self.clone(), stop.clone());
            tracker.spawn(async move {
                let serving = Box::pin(proxy.serve(stream, peer.ip().to_canonical()));
                let served = stop.run_until_cancelled(serving).await;
                if let Some(Err(error)) = served {
                    tracing::debug!(%error, client = %peer.ip(), "a ManageSieve session broke");
                }
                drop(place);
            });
        }
        tracker.close();
        let _ = timeout(GRACE, tracker.wait()).await;
    }

    async fn serve(self, stream: TcpStream, client: IpAddr) -> Result<(), session::Error> {
        stream.set_nodelay(true)?;
        session::serve(&self, stream, client).await
    }

    /// What TLS is offered with.
    async fn tls(&self) -> io::Result<ServerConfig> {
        let read = async |name: &str| tokio::fs::read(self.tls_dir.join(name)).await;
        let (chain, key) = (read("tls.crt").await?, read("tls.key").await?);
        let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        config.with_no_client_auth().with_single_cert(chain, key).map_err(io::Error::other)
    }
}

/// Longest wait for a client before it is logged in.
const PATIENCE: Duration = Duration::from_mins(1);
