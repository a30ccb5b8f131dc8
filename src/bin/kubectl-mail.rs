//! `kubectl mail`: the plugin for administrators.

use std::process::ExitCode;

use clap::Parser;
use mail_operator::cli;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kubectl mail: {error}");
            ExitCode::FAILURE
        }
    }
}
