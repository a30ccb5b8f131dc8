//! Cyrus of a store: `imapd.conf`, the same for all shards and roles, and a `cyrus.conf` for each role: a store without a
//! replica (`cyrus.conf`), a primary with one (`cyrus-replicated.conf`), a replica, which takes what the primary sends and
//! serves nobody (`cyrus-replica.conf`). What else depends on the role, such as where the replica is, the agent writes to
//! `/run/cyrus/role.conf` before it starts Cyrus.
//!
//! Precedence: Cyrus reads these two files only, and refuses an option that stands twice, so they are rendered whole.
//! Passwords are asked of the agent's saslauthd socket; the users' own never come here, but tokens that the gateway
//! issued. Duplicate suppression is off (it swallows a different message of the same Message-ID): the door looks first.
//! Mailboxes are made by the agent alone, since Cyrus's autocreate at LMTP accepts any name. What is deleted is kept for
//! 30 days. The log-in at the gateways is a Secret of its own, included from where that is mounted. `munge8bit: no`, or raw 8-bit headers, common in Vietnamese mail, are stored as `X`. `sieve_utf8fileinto: yes`, since
//! scripts name folders in UTF-8 (RFC 5228 2.1), and Cyrus would look for modified UTF-7. The LMTP port trusts its
//! callers (`-a`) and is therefore on the loopback. IMAP and Sieve have no TLS here: nginx could not speak it to them.

use super::{Files, files, fill};
use crate::names::ports;

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub struct Cyrus<'a> {
    /// The name in greetings and Received.
    pub hostname: &'a str,
    /// Host of the gateways, to which Sieve's own mail goes.
    pub gateway_host: &'a str,
}

/// All files.
#[must_use]
pub fn render(input: &Cyrus) -> Files {
    let imapd = fill(
        include_str!("templates/cyrus/imapd.conf"),
        &[
            ("hostname", input.hostname),
            ("gateway_host", input.gateway_host),
            ("store_smtp", &ports::STORE_SMTP.to_string()),
        ],
    );
    files([
        ("imapd.conf", imapd),
        ("cyrus.conf", include_str!("templates/cyrus/cyrus.conf").to_owned()),
        ("cyrus-replicated.conf", replicated()),
        ("cyrus-replica.conf", include_str!("templates/cyrus/cyrus-replica.conf").to_owned()),
    ])
}

/// A primary's: the same, and the rolling channel to the replica.
fn replicated() -> String {
    let channel = "DAEMON {\n  syncclient cmd=\"sync_client -r\"\n";
    include_str!("templates/cyrus/cyrus.conf").replace("DAEMON {\n", channel)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operator::config::listing;

    const INPUT: Cyrus = Cyrus { hostname: "mail.angiang.gov.vn", gateway_host: "demo-gateway" };

    #[test]
    fn cyrus_files_are_these() {
        insta::assert_snapshot!(listing(&render(&INPUT)));
    }

    #[test]
    fn no_option_stands_twice_which_cyrus_would_refuse() {
        let imapd = &render(&INPUT)["imapd.conf"];
        let names = imapd.lines().filter_map(|line| line.split(':').next());
        // A directive, of which Cyrus takes any number.
        let options: Vec<_> = names.filter(|name| *name != "@include").collect();
        let distinct: BTreeSet<_> = options.iter().collect();
        assert_eq!(options.len(), distinct.len());
    }
}
