//! `kubectl mail restore`: a MailRestore is made of what was said on the command line, and followed to its end.

mod follow;
mod object;
mod when;

use std::io::Write;

use clap::{ArgGroup, Args};
use kube::{Api, ResourceExt, api::PostParams};

use self::when::{BackupAt, When};
use super::{Error, Target, cluster::client};
use crate::api::{MailBackup, MailRestore, MailSnapshot};

/// What is to come back, from where, and whither.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("whence").required(true).multiple(false))]
#[command(group = ArgGroup::new("whose").required(true).multiple(false))]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command are on or off")]
pub struct Arguments {
    /// From this MailSnapshot; `kubectl mail snapshots` lists them.
    #[arg(long, value_name = "SNAPSHOT", group = "whence")]
    from_snapshot: Option<String>,
    /// From the latest snapshot of this MailBackup that a restore has proven.
    #[arg(long, value_name = "BACKUP", group = "whence")]
    latest_verified: Option<String>,
    /// From the latest snapshot of a MailBackup that is not younger than a time: `nightly@2026-12-01T08:00:00+07:00`. Without an
    /// offset the time is this machine's; `nightly@2h` is two hours ago.
    #[arg(long, value_name = "BACKUP@TIME", group = "whence")]
    point_in_time: Option<BackupAt>,

    /// From this mailbox; may be given several times, or with commas.
    #[arg(long, value_name = "ADDRESS", group = "whose", value_delimiter = ',')]
    mailbox: Vec<String>,
    /// From all mailboxes of the snapshot.
    #[arg(long, group = "whose")]
    all: bool,

    /// Only from this folder, as people see it, and those below it.
    #[arg(long)]
    folder: Option<String>,
    /// Only the message with this Message-ID.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Only messages whose sender has this in it.
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    /// Only messages whose subject has this in it.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Only messages delivered then or later: a time as with --point-in-time.
    #[arg(long, value_name = "TIME")]
    after: Option<When>,
    /// Only messages delivered before then.
    #[arg(long, value_name = "TIME")]
    before: Option<When>,
    /// Also messages that the owner had deleted before the backup, and that were still kept.
    #[arg(long)]
    expunged: bool,

    /// Into this mailbox, which is there; into the one it was in if absent.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Into this folder, below which folders come as they were.
    #[arg(long, value_name = "FOLDER")]
    to_folder: Option<String>,

    /// A snapshot will do that no restore has proven.
    #[arg(long)]
    allow_unverified: bool,
    /// First make the objects that went along and are not in the cluster: mailboxes, domains, the system itself.
    #[arg(long)]
    objects: bool,
    /// Only tell what would come back.
    #[arg(long)]
    dry_run: bool,
    /// Name of the MailRestore that is made.
    #[arg(long)]
    name: Option<String>,
    /// Follow it until it ended; it is an error if not all came back.
    #[arg(long)]
    wait: bool,
    /// With --wait: how many seconds to wait at most. The restore goes on in any case.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
}

/// Makes it, and follows it.
pub(super) async fn run(target: &Target, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let (client, namespace) = client(target).await?;
    let system = if let Some(name) = &arguments.from_snapshot {
        Api::<MailSnapshot>::namespaced(client.clone(), &namespace).get(name).await?.spec.system
    } else {
        let name =
            arguments.latest_verified.as_ref().or(arguments.point_in_time.as_ref().map(|it| &it.backup));
        let name = name.ok_or_else(|| Error::Incomplete("say which backup".to_owned()))?;
        Api::<MailBackup>::namespaced(client.clone(), &namespace).get(name).await?.spec.system
    };
    if let Some(meant) = target.system.as_ref().filter(|name| **name != system.name) {
        return Err(Error::System(format!("that is a backup of {}, not of {meant}", system.name)));
    }
    let restores: Api<MailRestore> = Api::namespaced(client, &namespace);
    let object = object::of(arguments, system, jiff::Timestamp::now());
    let made = restores.create(&PostParams::default(), &object).await?;
    writeln!(out, "mailrestore/{} made", made.name_any())?;
    if !arguments.wait {
        let name = made.name_any();
        return Ok(writeln!(out, "kubectl -n {namespace} get mailrestore {name} -w follows it")?);
    }
    follow::follow(&restores, &made.name_any(), arguments.timeout, out).await
}
