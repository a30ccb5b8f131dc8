//! What should be in the DNS. A domain's needs come in, the records go out. Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{Answer, Answers, Question, Type};
use crate::api::domain::{DnsRecord, KeyUse};

/// What decides of a domain's records.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    /// The domain.
    pub domain: &'a str,
    /// Host name of its mail system.
    pub hostname: &'a str,
    /// Whether mail leaves through somebody else's host.
    pub relayed: bool,
    /// Its DKIM keys, the one in use first.
    pub keys: Vec<Key>,
}

/// A DKIM key whose record is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The selector.
    pub selector: String,
    /// The public key, base64.
    pub public: String,
    /// What the key is used for.
    pub use_: KeyUse,
    /// See [`DnsRecord::until`], in seconds of Unix time.
    pub until: Option<i64>,
}

/// A record, and how what is found is compared with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The record, unchecked.
    pub record: DnsRecord,
    /// Its type.
    pub type_: Type,
    pub(super) rule: Rule,
}

/// How a record is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// One of the servers is the expected one.
    Server,
    /// One SPF record, which lets our servers send; with `true`, mail leaves elsewhere and any will do.
    Sender(bool),
    /// The same public key.
    Key,
    /// One record that begins so and has this tag.
    Tagged(&'static str, &'static str),
    /// Any address.
    Address,
    /// The expected name.
    Pointer,
}

/// The records that the domain needs. Those of addresses are among them once `answers` have the addresses.
#[must_use]
pub fn expected(needs: &Needs<'_>, answers: Option<&Answers>) -> Vec<Expected> {
    let Needs { domain, hostname, .. } = needs;
    let mut all = vec![
        record("MX", (*domain).to_owned(), Type::Mx, format!("10 {hostname}."), Rule::Server),
        text("SPF", (*domain).to_owned(), "v=spf1 mx -all".to_owned(), Rule::Sender(needs.relayed)),
    ];
    for key in &needs.keys {
        let name = key_name(&key.selector, domain);
        let mut record = text("DKIM", name, format!("v=DKIM1; k=rsa; p={}", key.public), Rule::Key);
        record.record.key_use = Some(key.use_);
        record.record.until = key.until.and_then(|at| Timestamp::from_second(at).ok()).map(Time);
        all.push(record);
    }
    let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    all.push(text("DMARC", format!("_dmarc.{domain}"), dmarc, Rule::Tagged("v=DMARC1", "p")));
    let (name, reports) =
        (format!("_smtp._tls.{domain}"), format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}"));
    all.push(optional(text("TLS-RPT", name, reports, Rule::Tagged("v=TLSRPTv1", "rua"))));
    let policy = format!("v=STSv1; id={:016x}", fold(hostname));
    all.push(optional(text("MTA-STS", format!("_mta-sts.{domain}"), policy, Rule::Tagged("v=STSv1", "id"))));
    let public = "(the public address of the gateways)".to_owned();
    all.push(record("A", (*hostname).to_owned(), Type::A, public, Rule::Address));
    if let Some(Answer::Records(addresses)) =
        answers.and_then(|answers| answers.get(&((*hostname).to_owned(), Type::A)))
    {
        let pointers = addresses.iter().filter_map(|address| pointer_name(address));
        all.extend(
            pointers
                .map(|name| optional(record("PTR", name, Type::Ptr, format!("{hostname}."), Rule::Pointer))),
        );
    }
    all
}

/// Where the public key of a selector is published (RFC 6376, 3.6.2.1).
#[must_use]
pub fn key_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// What to ask a resolver for these.
#[must_use]
pub fn questions(expected: &[Expected]) -> Vec<Question> {
    let mut all: Vec<_> =
        expected.iter().map(|expected| (expected.record.name.clone(), expected.type_)).collect();
    all.sort();
    all.dedup();
    all
}

/// The name under which the DNS keeps an address's name (RFC 1035, 3.5; RFC 3596, 2.5).
pub(super) fn pointer_name(address: &str) -> Option<String> {
    Some(match address.parse().ok()? {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        std::net::IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev();
            let names =
                nibbles.fold(String::new(), |text, byte| text + &format!("{:x}.{:x}.", byte & 15, byte >> 4));
            names + "ip6.arpa"
        }
    })
}

fn text(purpose: &str, name: String, value: String, rule: Rule) -> Expected {
    record(purpose, name, Type::Txt, value, rule)
}

fn record(purpose: &str, name: String, type_: Type, value: String, rule: Rule) -> Expected {
    let word = match type_ {
        Type::A => "A",
        Type::Mx => "MX",
        Type::Ptr => "PTR",
        Type::Txt => "TXT",
    };
    let record = DnsRecord {
        purpose: purpose.to_owned(),
        name,
        type_: word.to_owned(),
        value,
        ..DnsRecord::default()
    };
    Expected { record, type_, rule }
}

fn optional(mut expected: Expected) -> Expected {
    expected.record.optional = true;
    expected
}

/// A number that is another one for another text.
fn fold(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
