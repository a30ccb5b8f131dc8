//! The operator: `run` starts the controllers, `crds` prints the custom resource definitions.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use mail_operator::api;

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
    /// Print the custom resource definitions as YAML.
    Crds {
        /// Write them into this folder instead, one file for each kind.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
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
