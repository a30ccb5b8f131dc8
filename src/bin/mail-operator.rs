//! The operator: `run` starts the controllers, `crds` prints the custom resource definitions.

use std::process::ExitCode;

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
    Crds,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Crds => crds(),
    }
}

fn crds() -> ExitCode {
    for crd in api::crds() {
        match serde_saphyr::to_string(&crd) {
            Ok(yaml) => println!("---\n{yaml}"),
            Err(error) => {
                eprintln!("a definition cannot be written as YAML: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
