//! Rspamd: the files of its `override.d`, and `rspamd.local.lua`, which writes the verdict for the gate.
//!
//! Precedence: `override.d` (these) over the packaged configuration; `local.d` is not used, because there a list is added
//! to the packaged one instead of replacing it. `rspamadm configtest` does not see an unknown option or a wrong type, so
//! every change here is to be proved on a running Rspamd.
//!
//! - Time limits nest: task 40 s, proxy 45 s, Postfix's milter 60 s; running out of time defers (`options.inc`).
//! - Viruses are the gate's business: Rspamd's own module lets mail pass on answers of clamd that it does not know.
//! - A test text of GTUBE other than the one for "refuse" would skip every rule, the verdict's too; they stay off.
//! - Only mail of authenticated users is signed with DKIM, by the domain in From. Keys come from the Secret, mounted at
//!   `/etc/dkim`; a domain without one is not signed for.
//! - Private addresses are not trusted: nodes and load balancers have one.
//! - Headers with the reasons for a verdict are for the recipient's eyes; mail that goes out carries none.

use super::{Files, files, fill};

/// Modules that are switched off.
///
/// - `asn`, `fuzzy_check`, `mx_check`, `phishing`, `rbl`, `surbl`: ask somebody outside about each mail, or fetch lists.
/// - `greylist`, `history_redis`, `neural`: with a frozen Valkey, greylisting stopped all mail; the others gain little.
/// - `chartable`: scores words that mix plain letters with others, which is what Vietnamese looks like.
/// - `known_senders`: needs a history of its own in Valkey.
const DISABLED: [&str; 11] = [
    "asn",
    "chartable",
    "fuzzy_check",
    "greylist",
    "history_redis",
    "known_senders",
    "mx_check",
    "neural",
    "phishing",
    "rbl",
    "surbl",
];

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub struct Rspamd<'a> {
    /// From this score on a message is marked as spam.
    pub add_header: f64,
    /// From this score on a message is refused.
    pub reject: f64,
    /// Host of Valkey.
    pub cache_host: &'a str,
}

/// All files.
#[must_use]
pub fn render(input: &Rspamd) -> Files {
    let actions = fill(
        include_str!("templates/rspamd/actions.conf"),
        &[("reject", &input.reject.to_string()), ("add_header", &input.add_header.to_string())],
    );
    let redis = fill(include_str!("templates/rspamd/redis.conf"), &[("cache_host", input.cache_host)]);
    let mut all = files([
        ("actions.conf", actions),
        ("redis.conf", redis),
        ("arc.conf", include_str!("templates/rspamd/arc.conf").to_owned()),
        ("dmarc.conf", include_str!("templates/rspamd/dmarc.conf").to_owned()),
        ("dkim_signing.conf", include_str!("templates/rspamd/dkim_signing.conf").to_owned()),
        ("logging.inc", include_str!("templates/rspamd/logging.inc").to_owned()),
        ("milter_headers.conf", include_str!("templates/rspamd/milter_headers.conf").to_owned()),
        ("options.inc", include_str!("templates/rspamd/options.inc").to_owned()),
        ("rspamd.local.lua", include_str!("templates/rspamd/rspamd.local.lua").to_owned()),
        ("worker-controller.inc", include_str!("templates/rspamd/worker-controller.inc").to_owned()),
        ("worker-fuzzy.inc", include_str!("templates/rspamd/worker-fuzzy.inc").to_owned()),
        ("worker-normal.inc", include_str!("templates/rspamd/worker-normal.inc").to_owned()),
        ("worker-proxy.inc", include_str!("templates/rspamd/worker-proxy.inc").to_owned()),
    ]);
    all.extend(DISABLED.map(|module| (format!("{module}.conf"), "enabled = false;\n".to_owned())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::config::listing;

    #[test]
    fn rspamd_files_are_these() {
        let input = Rspamd { add_header: 6.0, reject: 15.5, cache_host: "demo-cache" };
        insta::assert_snapshot!(listing(&render(&input)));
    }
}
