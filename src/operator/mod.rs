//! Everything that runs in the operator.
//!
//! [`run`] serves health and metrics at once, waits for the lease, and then runs every controller under one token: a lost
//! lease, a signal or a controller that ended ends them all. It must not touch an object without the lease.

pub mod backup;
pub mod cluster;
pub mod config;
pub mod desired;
pub mod dns;
pub mod guarded;
pub mod mailbox;
pub mod restore;
pub mod switchover;
pub mod system;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use clap::Args;
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    http::{self, Readiness},
    images::Images,
    metrics, names, shutdown,
};
use cluster::{
    events::Events,
    lease::{self, Lock},
};
use mailbox::Census;
use switchover::Board;

/// How long reconciliations may go on at the end, while the lease is still ours: below its duration (15 s).
const DRAIN: Duration = Duration::from_secs(5);

/// What the operator is told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What pods run.
    #[command(flatten)]
    pub images: Images,
    /// Name of this pod, by which it holds the lease.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// Namespace of this pod, where the lease is.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: String,
    /// The only namespace whose mail systems are served; all if absent.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Where health and metrics are served.
    #[arg(long, env = "HTTP_ADDRESS", default_value = "0.0.0.0:9100")]
    pub http_address: SocketAddr,
}

/// Why the operator ended.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// Nothing says where the API server is.
    #[error("the API server is not known: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube::Error),
    /// The address is taken, or signals cannot be handled.
    #[error("the process cannot be set up: {0}")]
    Io(#[from] io::Error),
    /// Another operator works now.
    #[error("the lease was lost")]
    LeaseLost,
    /// The controller of mailboxes failed.
    #[error(transparent)]
    Mailbox(#[from] mailbox::Error),
}

/// Runs the operator until a signal.
///
/// # Errors
/// It cannot start, or lost the lease, or a controller failed. The process is to be started anew then.
pub async fn run(options: Options) -> Result<(), Error> {
    let stop = shutdown::on_signal()?;
    serve(client().await?, options, stop).await
}

/// Runs the operator until `stop`.
///
/// # Errors
/// As [`run`].
pub async fn serve(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    let mut registry = metrics::registry();
    let figures = Figures::register(&mut registry);
    let readiness = Readiness::starting(&[lease::API]);
    let listener = TcpListener::bind(options.http_address).await?;
    let http_end = CancellationToken::new();
    let http =
        tokio::spawn(http::serve(listener, readiness.clone(), registry, Router::new(), http_end.clone()));

    let (namespace, pod) = (&options.pod_namespace, &options.pod_name);
    let mut lock = Lock::new(client.clone(), namespace, names::MANAGER, pod, readiness);
    let result = if lock.acquire(&stop).await {
        let result = Box::pin(work(client, &options, figures, &mut lock, &stop)).await;
        lock.release().await;
        result
    } else {
        Ok(())
    };
    http_end.cancel();
    // The answer to the last request is no reason to fail.
    let _ = http.await;
    result
}

/// Runs the controllers while the lease is ours.
async fn work(
    client: Client,
    options: &Options,
    figures: Figures,
    lock: &mut Lock,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let ours = stop.child_token();
    let (counts, census) = watch::channel(Census::new());
    let events = Events::new(client.clone(), &options.pod_name);
    let tell = events.clone();
    let (news, of_backups) = watch::channel(0);
    let reconciling = figures.system.clone();
    let context =
        system::Context::new(client.clone(), options.images.clone(), events, census, figures.system)
            .with_board(figures.stores)
            .with_news(of_backups);
    let namespace = options.watch_namespace.clone().filter(|namespace| !namespace.is_empty());
    let restores = restore::Settings {
        client: client.clone(),
        images: options.images.clone(),
        events: tell.clone(),
        metrics: reconciling.clone(),
        namespace: namespace.clone(),
    };
    let backups = backup::Settings {
        client: client.clone(),
        images: options.images.clone(),
        events: tell.clone(),
        metrics: reconciling,
        board: figures.backups,
        namespace: namespace.clone(),
        news,
    };
    let systems = async {
        // What is given up is one reconciliation between two of its writes; the next operator does it again. (A kube
        // controller that is stopped before its first listing ended does not end by itself.)
        let given_up = async {
            ours.cancelled().await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            () = system::run(context, namespace.clone(), ours.clone()) => {}
            () = given_up => tracing::warn!("the controller of mail systems did not end in time"),
        }
        ours.cancel();
    };
    let mailboxes = async {
        let result =
            mailbox::run(client, namespace.clone(), tell, counts, figures.mailbox, ours.clone()).await;
        ours.cancel();
        result
    };
    let backups = async {
        let given_up = async {
            ours.cancelled().await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(backup::run(backups, ours.clone()), restore::run(restores, ours.clone())) } => {}
            () = given_up => tracing::warn!("the controllers of backups and restores did not end in time"),
        }
        ours.cancel();
    };
    let lease = async {
        let lost = lock.keep(&ours).await;
        ours.cancel();
        lost
    };
    let ((), result, (), lost) = tokio::join!(systems, mailboxes, backups, lease);
    if lost {
        return Err(Error::LeaseLost);
    }
    Ok(result?)
}

/// Metrics of the controllers.
struct Figures {
    system: system::Metrics,
    mailbox: mailbox::Metrics,
    stores: Arc<Board>,
    backups: Arc<backup::Board>,
}

impl Figures {
    fn register(registry: &mut Registry) -> Self {
        let stores = Arc::default();
        switchover::Figures::register(registry, &stores);
        let backups = Arc::default();
        backup::Figures::register(registry, &backups);
        Self {
            system: system::Metrics::register(registry),
            mailbox: mailbox::Metrics::register(registry),
            stores,
            backups,
        }
    }
}

/// The client of the operator. It does not try again by itself: up to 15 silent attempts would hold a reconciliation for
/// minutes, and both reconciliations and watches have their own pauses.
async fn client() -> Result<Client, Error> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
