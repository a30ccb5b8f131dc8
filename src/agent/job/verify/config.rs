//! The configuration of the Cyrus that serves what was restored: a store's own, with other places, for IMAP on the loopback
//! alone. Pure.
//!
//! What decides how Cyrus reads mail is thereby what a store has. Two things differ besides: folders are named `INBOX/…`, since a
//! store's own names have exceptions for folders called `user` or `INBOX`; and nobody but the administrator logs in. Each
//! program is told the file by its arguments, so that nothing has to lie where a store has it.

use std::{fmt::Write, path::Path};

use super::scratch::Scratch;
use crate::{
    agent::store::password::ADMIN,
    names::ports,
    operator::config::cyrus::{Cyrus, render},
};

/// `imapd.conf`.
#[must_use]
pub fn imapd(scratch: &Scratch) -> String {
    let store = render(&Cyrus { hostname: "localhost", gateway_host: "localhost" });
    let own = own(scratch);
    let differs = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        name != "@include" && own.iter().all(|(own, _)| *own != name)
    };
    let kept = store.get("imapd.conf").map_or("", String::as_str).lines().filter(differs);
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    for (name, value) in own {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

fn own(scratch: &Scratch) -> [(&'static str, String); 12] {
    let path = |path: &Path| path.display().to_string();
    let run = |name: &str| path(&scratch.run.join(name));
    [
        ("configdirectory", path(&scratch.conf())),
        ("partition-default", path(&scratch.spool())),
        ("sievedir", path(&scratch.restored.join("sieve"))),
        ("proc_path", run("proc")),
        ("mboxname_lockpath", run("lock")),
        ("temp_path", path(&scratch.run)),
        ("lmtpsocket", run("lmtp")),
        ("idlesocket", run("idle")),
        ("notifysocket", run("notify")),
        ("sasl_saslauthd_path", path(&scratch.auth())),
        ("admins", ADMIN.to_owned()),
        ("altnamespace", "no".to_owned()),
    ]
}

/// `cyrus.conf`. Databases are recovered before anything is served, as at each start of a store: they were copied while Cyrus
/// ran.
#[must_use]
pub fn services(scratch: &Scratch) -> String {
    let file = scratch.imapd_conf();
    let (file, port) = (file.display(), ports::CYRUS_IMAP);
    format!(
        "START {{\n  recover cmd=\"ctl_cyrusdb -C {file} -r\"\n}}\nSERVICES {{\n  \
         imap cmd=\"imapd -C {file} -U 30\" listen=\"127.0.0.1:{port}\" prefork=2 maxchild=20\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_a_stores_own_with_other_places() {
        let scratch = Scratch::new(Path::new("/scratch"));
        insta::assert_snapshot!(format!("{}\n{}", imapd(&scratch), services(&scratch)));
    }

    #[test]
    fn no_option_stands_twice_which_cyrus_would_refuse_and_nothing_leads_to_a_stores_volume() {
        let text = imapd(&Scratch::new(Path::new("/scratch")));
        let names: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for elsewhere in [" /data", " /run/", " /etc/", "@"] {
            assert!(!text.contains(elsewhere), "{elsewhere}");
        }
    }
}
