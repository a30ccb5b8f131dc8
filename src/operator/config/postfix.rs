//! Postfix of the gateway: `main.cf` and `master.cf`.
//!
//! Precedence: `-o` in `master.cf` over `main.cf` over Postfix's defaults of compatibility level 3.10. Port 25 knows no
//! users and relays nothing; 465 and 587 want a password over TLS and take only senders that are the user's own. Whatever
//! cannot answer (agent, Rspamd, gate) defers mail with a 4xx; nothing passes unjudged.

use super::{Files, files, fill};

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub struct Postfix<'a> {
    /// The name in the greeting, in EHLO and in Received.
    pub hostname: &'a str,
    /// Largest message in bytes.
    pub message_size: u64,
    /// Where outgoing mail goes, as `relayhost` takes it; to the MX if absent.
    pub relay_host: Option<&'a str>,
    /// Host of Rspamd's milter.
    pub antispam_host: &'a str,
}

/// All files.
#[must_use]
pub fn render(input: &Postfix) -> Files {
    files([
        ("main.cf", main_cf(input)),
        ("master.cf", include_str!("templates/postfix/master.cf").to_owned()),
    ])
}

fn main_cf(input: &Postfix) -> String {
    fill(
        include_str!("templates/postfix/main.cf"),
        &[
            ("hostname", input.hostname),
            ("message_size_limit", &input.message_size.to_string()),
            ("relay_host", input.relay_host.unwrap_or_default()),
            ("antispam_host", input.antispam_host),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::config::listing;

    const INPUT: Postfix = Postfix {
        hostname: "mail.angiang.gov.vn",
        message_size: 52_428_800,
        relay_host: None,
        antispam_host: "demo-antispam",
    };

    #[test]
    fn postfix_files_are_these() {
        insta::assert_snapshot!(listing(&render(&INPUT)));
    }

    #[test]
    fn a_relay_host_takes_all_outgoing_mail() {
        let with = Postfix { relay_host: Some("[relay.gov.vn]:587"), ..INPUT };
        assert!(main_cf(&with).lines().any(|line| line == "relayhost = [relay.gov.vn]:587"));
        assert!(main_cf(&INPUT).lines().any(|line| line.trim_end() == "relayhost ="));
    }
}
