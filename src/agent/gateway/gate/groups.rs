//! Whether mail that nobody logged in for may go to the groups among its recipients: those outside who may write to one are
//! known by the address in `From`, once SPF, DKIM or DMARC prove its domain. Pure.

use super::{author::Author, sender::Objection, verdict::Verdict};
use crate::{
    agent::{
        directory::Replica,
        posting::{invites, restricted},
    },
    directory::{domain_of, fold},
    wire::from,
};

/// The objection to a message of another server, if there is one.
pub(super) fn of_outside(
    recipients: &[Vec<u8>],
    author: &Author,
    verdict: &Verdict,
    directory: &Replica,
) -> Option<Objection> {
    let from = single(author);
    recipients.iter().find_map(|recipient| {
        let group = restricted(directory, recipient)?;
        let not_invited = || Objection::NotInvited(String::from_utf8_lossy(recipient).into_owned());
        let Some(from) = from.as_deref().filter(|from| invites(directory, &group, from)) else {
            return Some(not_invited());
        };
        match domain_of(from) {
            domain if verdict.proves(domain) => None,
            domain if verdict.unsure() => Some(Objection::Unproven(domain.to_owned())),
            _ => Some(not_invited()),
        }
    })
}

/// The one address in `From`, folded.
fn single(author: &Author) -> Option<String> {
    let [value] = author.from.as_slice() else { return None };
    match from::addresses(value).ok()?.as_slice() {
        [address] => fold(address).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::posting::testing::replica, api::Posting};

    fn said(senders: &[&str], to: &str, from: &[&str], verdict: &str) -> Option<Objection> {
        let mut author = Author::default();
        for value in from {
            author.header(b"From", value.as_bytes());
        }
        let verdict = Verdict::parse(format!("t action=no-action {verdict}").as_bytes(), "t").unwrap();
        let recipients = [b"an@x.vn".to_vec(), to.as_bytes().to_vec()];
        of_outside(&recipients, &author, &verdict, &replica(Posting::Listed, senders))
    }

    #[test]
    fn who_is_named_needs_a_proof_of_its_domain() {
        let dan = ["Đan <dan@example.com>"];
        let listed = ["dan@example.com"];
        for proof in ["spf=example.com", "dkim=example.com", "dmarc=example.com", "dkim=example.com unsure"] {
            assert_eq!(said(&listed, "Nhom@x.vn", &dan, proof), None, "{proof}");
        }
        let refused = Some(Objection::NotInvited("Nhom@x.vn".into()));
        assert_eq!(said(&listed, "Nhom@x.vn", &dan, ""), refused);
        assert_eq!(said(&listed, "Nhom@x.vn", &dan, "spf=evil.com"), refused);
        let later = Some(Objection::Unproven("example.com".into()));
        assert_eq!(said(&listed, "nhom@x.vn", &dan, "unsure"), later);
    }

    #[test]
    fn a_right_envelope_does_not_help_another_author() {
        let refused = Some(Objection::NotInvited("nhom@x.vn".into()));
        let proof = "spf=example.com dmarc=example.com";
        for from in [
            &["eve@example.com"][..],
            &["dan@example.com, eve@example.com"],
            &["dan@example.com", "dan@example.com"],
            &["\"dan@example.com\" <eve@example.com>"],
            &[],
        ] {
            assert_eq!(said(&["dan@example.com"], "nhom@x.vn", from, proof), refused, "{from:?}");
        }
        assert_eq!(said(&["@x.vn"], "nhom@x.vn", &["an@x.vn"], "dmarc=x.vn"), refused, "one of ours logs in");
    }

    #[test]
    fn other_recipients_are_nothing_of_this() {
        for to in ["lanh-dao@x.vn", "binh@x.vn", "nobody@x.vn"] {
            assert_eq!(said(&[], to, &["eve@example.com"], ""), None, "{to}");
        }
    }
}
