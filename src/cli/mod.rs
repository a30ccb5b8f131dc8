//! `kubectl mail`: what an administrator asks of a mail system besides its objects. Arguments come in, text goes out.
//!
//! It reaches agents through the API server, so that a kubeconfig is all it needs.

pub mod addresses;
mod audit;
mod backup;
mod backups;
pub mod cluster;
mod columns;
mod history;
pub mod journal;
mod lost;
mod replay;
mod restore;
mod snapshots;
mod status;
mod switchover;
mod trace;
mod words;

use clap::{Args, Parser, Subcommand};

/// Looks into a mail system and takes things in hand.
#[derive(Parser, Debug)]
#[command(name = "kubectl mail", bin_name = "kubectl mail", version)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// Which mail system.
#[derive(Args, Debug)]
pub struct Target {
    /// Namespace of the MailSystem; the kubeconfig's if absent.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Name of the MailSystem; may be left out if the namespace has one only.
    #[arg(short, long, global = true)]
    pub system: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Tell who serves each shard, how far its replica is, and what is amiss.
    Status(status::Arguments),
    /// Let the other store of a shard serve.
    Switchover(switchover::Arguments),
    /// Say that the disk of a store is gone for good, so that the other serves although it may lack the last changes.
    DeclareLost(lost::Arguments),
    /// Let a backup run now.
    Backup(backup::Arguments),
    /// List what could come back.
    Snapshots(snapshots::Arguments),
    /// Bring messages, folders, mailboxes or all mail back from a backup. Nothing that is there is overwritten.
    Restore(Box<restore::Arguments>),
    /// Read the journal of accepted mail.
    #[command(subcommand)]
    Journal(journal::Command),
    /// Print the list of official addresses: mailboxes with spec.listed.
    Addresses(addresses::Arguments),
    /// Tell whether accepted mail is accounted for, and name what is not.
    Audit,
    /// Tell what became of a message.
    Trace(trace::Arguments),
    /// Bring accepted messages back from the journal that are in no queue and came to no end.
    Replay(replay::Arguments),
}

/// Why a command failed.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// No cluster can be asked.
    #[error("the kubeconfig cannot be used: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server refused or did not answer.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    /// There is no such system, or more than one.
    #[error("{0}")]
    System(String),
    /// No agent can be asked, or its answer is not understood.
    #[error("{0}")]
    Agent(String),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Something was not done; what, was printed.
    #[error("{0}")]
    Incomplete(String),
    /// The output is gone.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs a command.
///
/// # Errors
/// What is told to the user.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let (target, mut out) = (&arguments.target, std::io::stdout().lock());
    let system = async || cluster::System::find(target).await;
    let named = async |name: &Option<String>| {
        let system = name.clone().or_else(|| target.system.clone());
        cluster::System::find(&Target { namespace: target.namespace.clone(), system }).await
    };
    match arguments.command {
        Command::Status(arguments) => status::run(&named(&arguments.name).await?, &mut out).await,
        Command::Switchover(arguments) => {
            switchover::run(&named(&arguments.name).await?, &arguments, &mut out).await
        }
        Command::DeclareLost(arguments) => lost::run(target, &arguments, &mut out).await,
        // Who has no mail system but mailboxes in one may have their list, too.
        Command::Addresses(arguments) => addresses::run(target, &arguments, &mut out).await,
        Command::Backup(arguments) => backup::run(target, &arguments, &mut out).await,
        Command::Snapshots(arguments) => snapshots::run(target, &arguments, &mut out).await,
        Command::Restore(arguments) => restore::run(target, &arguments, &mut out).await,
        Command::Journal(command) => journal::run(&system().await?, command, &mut out).await,
        Command::Audit => audit::run(&system().await?, &mut out).await,
        Command::Trace(arguments) => trace::run(&system().await?, arguments, &mut out).await,
        Command::Replay(arguments) => replay::run(&system().await?, arguments, &mut out).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_is_changed_by_name() {
        let parses = |words: &str| {
            Arguments::try_parse_from(["kubectl mail"].into_iter().chain(words.split_whitespace())).is_ok()
        };
        for good in [
            "status",
            "status mail -n mail",
            "switchover",
            "switchover mail --shard 1 --to mail-store-1-0 -n mail",
            "declare-lost mail-store-0-0 --confirm mail-store-0-0",
        ] {
            assert!(parses(good), "{good}");
        }
        for bad in ["switchover mail --shard x", "declare-lost mail-store-0-0", "declare-lost --confirm a"] {
            assert!(!parses(bad), "{bad}");
        }
    }

    #[test]
    fn a_replay_is_of_one_kind_of_messages() {
        let parses = |words: &str| {
            Arguments::try_parse_from(["kubectl mail", "replay"].into_iter().chain(words.split_whitespace()))
                .is_ok()
        };
        for good in [
            "019a",
            "019a 019b --dry-run",
            "--unaccounted",
            "--lost-volume mail-gateway-0 -n mail",
            "--lost-stores 0 --since 24h",
        ] {
            assert!(parses(good), "{good}");
        }
        for bad in [
            "",
            "--dry-run",
            "019a --unaccounted",
            "--unaccounted --lost-volume mail-gateway-0",
            "--lost-stores 0",
            "--unaccounted --since 24h",
            "--lost-volume",
        ] {
            assert!(!parses(bad), "{bad}");
        }
    }
}
