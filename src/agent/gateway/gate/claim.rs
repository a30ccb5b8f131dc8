//! Whether mail that nobody logged in for may carry one of our addresses in `From`. Pure.
//!
//! Other systems may send for a domain of ours where its DNS says so: SPF or DKIM then prove the domain, or DMARC does,
//! by which people see who it is from. Everything else under our domains is forged, whether or not a DMARC record asks
//! for its refusal. What the stores send is ours: Sieve forwards what was looked at when it came, and answers in the name
//! of the mailbox it works for; the store's agent writes as the postmaster of a domain, and says so. A script cannot: Cyrus
//! names its mailbox, whatever the script says.

use bytes::Bytes;

use super::{author::Author, sender::Objection, verdict::Verdict};
use crate::{
    agent::directory::Replica,
    directory::{domain_of, fold},
    wire::from,
};

/// The objection to a message of another server, if there is one.
pub(super) fn of_outside(author: &Author, verdict: &Verdict, directory: &Replica) -> Option<Objection> {
    if !directory.loaded() {
        return Some(Objection::NoDirectory);
    }
    if author.from.len() > 1 {
        return Some(Objection::Unreadable("From"));
    }
    let forged =
        ours(&author.from, directory).into_iter().find(|address| !verdict.proves(domain_of(address)))?;
    let domain = domain_of(&forged).to_owned();
    Some(if verdict.unsure() { Objection::Unproven(domain) } else { Objection::Forged(domain) })
}

/// The objection to a message that a store sends for the mailbox `sender`, if there is one.
pub(super) fn of_store(sender: Option<&str>, author: &Author, directory: &Replica) -> Option<Objection> {
    if !directory.loaded() {
        return Some(Objection::NoDirectory);
    }
    // Sieve has forwarded what it received.
    if author.received {
        return None;
    }
    let sender = sender.and_then(|sender| fold(sender).ok()).unwrap_or_default();
    let is_postmaster = |address: &str| address == sender && address.starts_with("postmaster@");
    let theirs = |address: &String| directory.owns(&sender, address) || is_postmaster(address);
    let foreign = ours(&author.from, directory).into_iter().find(|address| !theirs(address));
    foreign.map(|address| Objection::NotOwned("From", address))
}

/// The addresses under our domains, folded. Where the field cannot be read for certain, whatever looks like one.
fn ours(values: &[Bytes], directory: &Replica) -> Vec<String> {
    let of_value = |value: &Bytes| match from::addresses(value) {
        Ok(addresses) => addresses.into_iter().filter_map(|address| fold(address).ok()).collect(),
        Err(_) => lookalikes(value),
    };
    let all = values.iter().flat_map(of_value);
    all.filter(|address| directory.has_domain(domain_of(address))).collect()
}

/// Each `@` with the domain that follows it.
fn lookalikes(value: &[u8]) -> Vec<String> {
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    let domains = value.split(|byte| *byte == b'@').skip(1).map(|rest| {
        let rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| !is_domain(byte)).unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).trim_end_matches('.').to_ascii_lowercase()
    });
    domains.map(|domain| format!("?@{domain}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::directory::testing;

    fn author(headers: &[(&str, &str)]) -> Author {
        let mut author = Author::default();
        for (name, value) in headers {
            author.header(name.as_bytes(), value.as_bytes());
        }
        author
    }

    fn outside(from: &str, verdict: &str) -> Option<Objection> {
        let verdict = Verdict::parse(format!("t action=no-action {verdict}").as_bytes(), "t").unwrap();
        of_outside(&author(&[("From", from)]), &verdict, &testing::replica())
    }

    #[test]
    fn our_domain_from_outside_needs_a_proof() {
        let forged = Some(Objection::Forged("x.vn".into()));
        for from in [
            "an@x.vn",
            "\"Chủ tịch\" <Nobody@X.VN>",
            "dan@example.com, an@x.vn",
            "<an@x.vn> <dan@example.com>",
            "group: an@x.vn;",
            "an@ x.vn.",
        ] {
            assert_eq!(outside(from, ""), forged, "{from}");
            assert_eq!(outside(from, "spf=example.com dkim=sub.x.vn"), forged, "{from}");
            assert_eq!(outside(from, "unsure"), Some(Objection::Unproven("x.vn".into())), "{from}");
            for proof in ["spf=x.vn", "dkim=a.vn dkim=x.vn", "dmarc=x.vn", "spf=x.vn unsure"] {
                assert_eq!(outside(from, proof), None, "{from} {proof}");
            }
        }
    }

    #[test]
    fn other_domains_are_not_our_business() {
        for from in ["dan@example.com", "\"an@x.vn\" <dan@example.com>", "dan@sub.x.vn", "Đan", ""] {
            assert_eq!(outside(from, ""), None, "{from}");
        }
        assert_eq!(of_outside(&author(&[]), &Verdict::default(), &testing::replica()), None);
    }

    #[test]
    fn two_fields_from_outside_are_refused_and_nothing_passes_without_a_directory() {
        let twice = author(&[("From", "dan@example.com"), ("From", "an@x.vn")]);
        let proof = Verdict::parse(b"t dmarc=x.vn", "t").unwrap();
        let refused = Some(Objection::Unreadable("From"));
        assert_eq!(of_outside(&twice, &proof, &testing::replica()), refused);
        assert_eq!(of_outside(&twice, &proof, &testing::empty()), Some(Objection::NoDirectory));
    }

    #[test]
    fn sieve_forwards_anything_and_answers_in_its_own_name_only() {
        let said = |sender, headers: &[(&str, &str)]| of_store(sender, &author(headers), &testing::replica());
        let (received, binh) = (("Received", "from a by b"), ("From", "binh@x.vn"));
        assert_eq!(said(Some("an@x.vn"), &[received, binh]), None);
        assert_eq!(said(Some("an@x.vn"), &[("From", "An <van-thu@x.vn>")]), None);
        assert_eq!(said(Some("an@x.vn"), &[("From", "Mail Sieve Subsystem <postmaster>")]), None);
        let foreign = Some(Objection::NotOwned("From", "binh@x.vn".into()));
        assert_eq!(said(Some("an@x.vn"), &[binh]), foreign);
        assert_eq!(said(None, &[binh]), foreign);
    }

    #[test]
    fn the_agent_of_a_store_writes_as_the_postmaster_that_it_names_and_no_script_does() {
        let said = |sender, from: &str| {
            of_store(Some(sender), &author(&[("From", from)]), &testing::replica()).is_none()
        };
        let from = " =?UTF-8?B?UXXhuqNuIHRy4buL?=\n <postmaster@x.vn>";
        assert!(said("postmaster@x.vn", from) && said("Postmaster@X.vn", from));
        assert!(!said("an@x.vn", from) && !said("", from));
        assert!(!said("postmaster@y.vn", from) && !said("postmaster@x.vn", "binh@x.vn"));
        assert!(!said("postmaster@x.vn", "postmaster@x.vn, binh@x.vn"));
    }
}
