//! A connection to Cyrus as a mailbox's owner: what of a return, and of a restore, is done over IMAP.
//!
//! What Cyrus refuses comes back as words; an error is a connection that broke.

use std::{fmt::Write, io};

use jiff::Timestamp;

use super::listing::Flags;
use crate::{
    agent::store::provision::{Access, Client, MailboxName, Outcome},
    wire::imap::{Command, Response},
};

/// UIDs named in one command.
const AT_ONCE: usize = 500;

/// See the module.
pub struct Session<'a> {
    access: &'a Access,
    address: &'a str,
    client: Client,
}

/// What Cyrus said in place of yes.
pub type Refusal = Option<String>;

fn refusal(outcome: &Outcome) -> Refusal {
    (!outcome.is_ok()).then(|| String::from_utf8_lossy(&outcome.text).into_owned())
}

impl<'a> Session<'a> {
    /// Connects as the owner of `address`.
    ///
    /// # Errors
    /// Cyrus cannot be reached.
    pub async fn open(access: &'a Access, address: &'a str) -> io::Result<Self> {
        let client = Client::connect(access, Some(address)).await.map_err(io::Error::other)?;
        Ok(Self { access, address, client })
    }

    /// Runs commands up to the first that is refused.
    async fn run(&mut self, commands: Vec<Command>) -> io::Result<Refusal> {
        for command in commands {
            let outcomes = self.client.run(vec![command], |_| ()).await.map_err(io::Error::other)?;
            if let Some(refusal) = outcomes.first().and_then(refusal) {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn create(&mut self, path: &str) -> io::Result<Refusal> {
        let create = Command::new("CREATE").string(path.as_bytes());
        let subscribe = Command::new("SUBSCRIBE").string(path.as_bytes());
        match self.run(vec![create]).await? {
            // Somebody else did.
            Some(refusal) if refusal.to_ascii_lowercase().contains("already exists") => Ok(None),
            Some(refusal) => Ok(Some(refusal)),
            None => {
                // Without it some programs do not show the folder; it stands all the same.
                self.run(vec![subscribe]).await?;
                Ok(None)
            }
        }
    }

    /// Adds a message with its date and flags.
    ///
    /// # Errors
    /// The connection broke, and the message may be there or not.
    pub async fn append(&mut self, path: &str, about: (u32, &Flags), message: &[u8]) -> io::Result<Refusal> {
        let Some(command) = appending(path, about) else { return Ok(Some("its date is none".into())) };
        let outcome = self.client.send(command, message).await.map_err(io::Error::other)?;
        Ok(refusal(&outcome))
    }

    /// Adds a message, over the quota if need be.
    ///
    /// # Errors
    /// The connection broke, and the message may be there or not.
    pub async fn append_over(
        &mut self,
        path: &str,
        about: (u32, &Flags),
        message: &[u8],
    ) -> io::Result<Refusal> {
        match self.append(path, about, message).await? {
            Some(refusal) if is_full(&refusal) => self.append_without_quota(path, about, message).await,
            refusal => Ok(refusal),
        }
    }

    /// It was accepted once, so that there is room for it; whatever happens in between, the quota is put right again with the
    /// next look at what Cyrus has.
    async fn append_without_quota(
        &mut self,
        path: &str,
        about: (u32, &Flags),
        message: &[u8],
    ) -> io::Result<Refusal> {
        let Some(name) = MailboxName::of(self.address) else { return Ok(Some("no such mailbox".into())) };
        let root = name.inbox();
        let mut admin = Client::connect(self.access, None).await.map_err(io::Error::other)?;
        let mut quota = None;
        let ask = Command::new("GETQUOTA").string(root.as_bytes());
        let untagged = |response| {
            if let Response::Quota { storage, .. } = response {
                quota = storage;
            }
        };
        admin.run(vec![ask], untagged).await.map_err(io::Error::other)?;
        let set = |limits: String| vec![Command::new("SETQUOTA").string(root.as_bytes()).raw(&limits)];
        admin.run(set("()".into()), |_| ()).await.map_err(io::Error::other)?;
        let outcome = self.append(path, about, message).await;
        if let Some(kib) = quota {
            admin.run(set(format!("(STORAGE {kib})")), |_| ()).await.map_err(io::Error::other)?;
        }
        outcome
    }

    /// Changes flags of messages.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn flag(
        &mut self,
        path: &str,
        uids: &[u32],
        add: &Flags,
        remove: &Flags,
    ) -> io::Result<Refusal> {
        let mut commands = vec![select(path)];
        for set in sets(uids) {
            let store = |sign: char, flags: &Flags| {
                let command = Command::new("UID STORE").raw(&set).raw(&format!("{sign}FLAGS.SILENT"));
                (!flags.0.is_empty()).then(|| command.raw(&list(flags)))
            };
            commands.extend(store('+', add).into_iter().chain(store('-', remove)));
        }
        self.run(commands).await
    }

    /// Deletes messages.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn expunge(&mut self, path: &str, uids: &[u32]) -> io::Result<Refusal> {
        let mut commands = vec![select(path)];
        for set in sets(uids) {
            commands.push(Command::new("UID STORE").raw(&set).raw("+FLAGS.SILENT (\\Deleted)"));
            commands.push(Command::new("UID EXPUNGE").raw(&set));
        }
        self.run(commands).await
    }
}

fn appending(path: &str, (seconds, flags): (u32, &Flags)) -> Option<Command> {
    let command = Command::new("APPEND").string(path.as_bytes());
    Some(command.raw(&list(flags)).raw(&date(seconds)?))
}

/// Whether Cyrus said that there is no room left.
#[must_use]
pub fn is_full(refusal: &str) -> bool {
    refusal.contains("[OVERQUOTA]")
}

fn select(path: &str) -> Command {
    Command::new("SELECT").string(path.as_bytes())
}

fn sets(uids: &[u32]) -> impl Iterator<Item = String> {
    uids.chunks(AT_ONCE).map(|uids| {
        uids.iter().fold(String::new(), |mut set, uid| {
            let comma = if set.is_empty() { "" } else { "," };
            let _ = write!(set, "{comma}{uid}");
            set
        })
    })
}

/// What was read of the files of Cyrus holds atoms only; what comes from elsewhere must not do more.
fn list(flags: &Flags) -> String {
    let good = |flag: &&String| {
        let name = flag.strip_prefix('\\').unwrap_or(flag);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte))
    };
    let flags: Vec<_> = flags.0.iter().filter(good).map(String::as_str).collect();
    format!("({})", flags.join(" "))
}

fn date(seconds: u32) -> Option<String> {
    let time = Timestamp::from_second(i64::from(seconds)).ok()?;
    Some(time.strftime("\"%d-%b-%Y %H:%M:%S +0000\"").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_flags_are_written_as_the_protocol_has_them() {
        assert_eq!(date(1_796_104_272).as_deref(), Some("\"01-Dec-2026 05:51:12 +0000\""));
        assert_eq!(date(0).as_deref(), Some("\"01-Jan-1970 00:00:00 +0000\""));
        let flags = |flags: &[&str]| list(&Flags(flags.iter().map(|it| (*it).to_owned()).collect()));
        assert_eq!(flags(&["\\Seen", "$Forwarded"]), "($Forwarded \\Seen)");
        assert_eq!(flags(&["a) b", "\r\nx", "\\", ""]), "()");
    }

    #[test]
    fn many_messages_are_named_in_several_commands() {
        let uids: Vec<u32> = (1..=501).collect();
        let sets: Vec<_> = sets(&uids).collect();
        assert_eq!((sets.len(), sets[1].as_str()), (2, "501"));
        assert!(sets[0].starts_with("1,2,3,") && sets[0].ends_with(",500"));
    }
}
