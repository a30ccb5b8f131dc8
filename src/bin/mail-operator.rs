//! The operator: `run` starts the controllers, `crds` prints the custom resource definitions.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use mail_operator::{api, operator, telemetry};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controllers, while holding the lease.
    Run(Box<operator::Options>),
    /// Print the custom resource definitions as YAML.
    Crds {
        /// Write them into this folder instead, one file for each kind.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(options) => run(*options),
        Command::Crds { output } => crds(output.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mail-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: operator::Options) -> io::Result<()> {
    telemetry::init();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(operator::run(options)).map_err(io::Error::other)
}

fn crds(output: Option<&Path>) -> io::Result<()> {
    for crd in api::crds() {
        let yaml = serde_saphyr::to_string(&crd).map_err(io::Error::other)?;
        match output {
            Some(folder) => fs::write(folder.join(format!("{}.yaml", crd.spec.names.plural)), &yaml)?,
            None => println!("---\n{yaml}"),
        }
    }
    Ok(())
}
