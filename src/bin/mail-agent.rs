//! The agent beside a mail daemon: `gateway` serves Postfix and nginx, `store` runs Cyrus, `antispam` gives Rspamd keys. And `job`
//! works on backups.

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use mail_operator::{
    agent::{
        antispam,
        directory::{Disk, Replica, follow, in_cluster},
        gateway, job,
        settings::{AntispamSettings, Common, GatewaySettings, StoreSettings},
        store,
    },
    shutdown, telemetry,
};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    agent: Agent,
}

#[derive(Subcommand)]
enum Agent {
    /// The agent of a gateway pod.
    Gateway(Box<GatewaySettings>),
    /// The agent of a store pod.
    Store(Box<StoreSettings>),
    /// The agent of an anti-spam pod.
    Antispam(Box<AntispamSettings>),
    /// Works on a backup, and ends.
    Job(Box<job::JobSettings>),
    /// What a store's agent starts to end Cyrus when it cannot do so itself.
    #[command(hide = true)]
    Watchdog,
}

#[derive(thiserror::Error, Debug)]
enum Error {
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Antispam(#[from] antispam::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init();
    match run(arguments.agent).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(%error, "the agent ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(agent: Agent) -> Result<ExitCode, Error> {
    let shutdown = shutdown::on_signal()?;
    match agent {
        Agent::Gateway(settings) => {
            let replica = directory(&settings.common, &settings.data_dir, &shutdown)?;
            gateway::run(*settings, replica, shutdown).await?;
        }
        Agent::Store(settings) => {
            let replica = directory(&settings.common, &settings.data_dir, &shutdown)?;
            store::run(*settings, replica, shutdown).await?;
        }
        Agent::Antispam(settings) => antispam::run(*settings, in_cluster(), shutdown).await?,
        Agent::Job(settings) => return Ok(job::run(*settings, shutdown).await),
        // It outlives signals to the agent, for it ends with it.
        Agent::Watchdog => tokio::task::block_in_place(store::watch_over_cyrus)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn directory(
    common: &Common,
    data: &std::path::Path,
    shutdown: &CancellationToken,
) -> Result<Replica, io::Error> {
    Ok(follow(common.system(), Disk::open(data)?, in_cluster(), shutdown.clone()))
}
