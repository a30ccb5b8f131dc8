//! Directory services of a system: from the spec to what gateways may reach, and from what gateways tell to
//! `DirectoryServiceHealthy`. Pure. What the agents are told of them is in the directory (`operator::mailbox`), so that a
//! changed password counts at once and no pod is replaced for it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::fetch::Fetched;
use crate::{
    agent::sockets::passwords::ldap::{Reason, Report, Trouble},
    api::{MailSystemSpec, system::Ldap},
    conditions::Finding,
};

/// The condition.
pub const HEALTHY: &str = "DirectoryServiceHealthy";

/// Key of the authorities in their Secret.
pub const CA: &str = "ca.crt";

/// What the gateways' pods say of their directory services, by pod; `None` where one did not answer.
pub type Reports = [(String, Option<BTreeMap<String, Report>>)];

/// The Secrets that the services name, each with the keys that are wanted of it.
#[must_use]
pub fn secrets(spec: &MailSystemSpec) -> BTreeMap<String, Vec<String>> {
    let mut secrets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for service in &spec.authentication.ldap {
        for (name, key) in wanted(service) {
            secrets.entry(name.to_owned()).or_default().push(key.to_owned());
        }
    }
    secrets
}

fn wanted(service: &Ldap) -> impl Iterator<Item = (&str, &str)> {
    let bind = service.bind.iter().map(|bind| &bind.password_secret);
    let bind = bind.map(|secret| (secret.name.as_str(), secret.key.as_str()));
    bind.chain(service.ca_secret.iter().map(|name| (name.as_str(), CA)))
}

/// Checks what the rules of the definition cannot, and gives the ports of all servers.
pub fn validate(fetched: &Fetched, wrong: &mut Vec<String>) -> Vec<u16> {
    let services = &fetched.system.spec.authentication.ldap;
    for service in services {
        let field = format!("spec.authentication.ldap[{}]", service.name);
        let search = service.search.iter().map(|search| search.filter.as_str());
        for filter in search.filter(|filter| ldap3::parse_filter(filled(filter)).is_err()) {
            wrong.push(format!("{field}.search.filter: {filter:?} is no filter (RFC 4515)"));
        }
        for url in service.urls.iter().filter(|url| port(url).is_none()) {
            wrong.push(format!("{field}.urls: {url:?} has no port that there can be"));
        }
    }
    let mut ports: Vec<u16> =
        services.iter().flat_map(|service| &service.urls).filter_map(|url| port(url)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn filled(filter: &str) -> String {
    ["{address}", "{local}", "{domain}"].iter().fold(filter.to_owned(), |text, key| text.replace(key, "x"))
}

/// The port in `ldaps://host:port`, else the scheme's.
fn port(url: &str) -> Option<u16> {
    let (scheme, host) = url.split_once("://")?;
    match host.trim_end_matches('/').rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None if scheme == "ldaps" => Some(636),
        None => Some(389),
    }
}

/// `DirectoryServiceHealthy`; nothing without a service.
#[must_use]
pub fn finding(fetched: &Fetched, reports: &Reports) -> Option<Finding> {
    let services = &fetched.system.spec.authentication.ldap;
    let first = services.first()?;
    if let Some((service, name, key)) = services.iter().find_map(|service| missing(service, &fetched.ldap)) {
        let reason = if key == CA { "CaSecretMissing" } else { "BindSecretMissing" };
        let message = format!(
            "{service}: Secret {name} has no key {key}: create it; what was known last is used meanwhile, if anything was"
        );
        return Some(Finding::no(HEALTHY, reason, message));
    }
    let said = |(pod, reports): &'_ (String, Option<BTreeMap<String, Report>>)| {
        let reports = reports.as_ref()?;
        services.iter().find_map(|service| far_fewer(service, pod, reports.get(&service.name)?))
    };
    if let Some(finding) = reports.iter().find_map(said) {
        return Some(finding);
    }
    let seen = |service: &Ldap| {
        reports.iter().find_map(|(pod, all)| away(service, pod, all.as_ref()?.get(&service.name)?))
    };
    if let Some(finding) = services.iter().find_map(seen) {
        return Some(finding);
    }
    let silent = |service: &Ldap| {
        let has = |reports: &BTreeMap<String, Report>| reports.contains_key(&service.name);
        reports.iter().find(|(_, all)| !all.as_ref().is_some_and(has))
    };
    if let Some((pod, _)) = services.iter().find_map(silent) {
        let message = format!("{pod} has not told yet whether it can ask every directory service");
        return Some(Finding::unknown(HEALTHY, "NotObserved", message));
    }
    let degraded = reports.iter().find_map(|(pod, all)| degraded(pod, all.as_ref()?));
    Some(match degraded {
        _ if reports.is_empty() => Finding::unknown(HEALTHY, "NotObserved", "no gateway is there yet"),
        Some(message) => Finding::yes(HEALTHY, "Degraded", message),
        None if services.len() == 1 => Finding::yes(
            HEALTHY,
            "Reachable",
            format!("every gateway can ask every server of {}", first.name),
        ),
        None => Finding::yes(HEALTHY, "Reachable", "every gateway can ask every server of every service"),
    })
}

/// The service, the Secret and the key that are wanted and not there.
fn missing<'a>(service: &'a Ldap, secrets: &BTreeMap<String, Secret>) -> Option<(&'a str, &'a str, &'a str)> {
    let there = |(name, key): &(&str, &str)| {
        let data = secrets.get(*name).and_then(|secret| secret.data.as_ref());
        data.and_then(|data| data.get(*key)).is_some_and(|value| !value.0.is_empty())
    };
    let (name, key) = wanted(service).find(|wanted| !there(wanted))?;
    Some((&service.name, name, key))
}

/// It suddenly knows far fewer people.
fn far_fewer(service: &Ldap, pod: &str, report: &Report) -> Option<Finding> {
    let people = report.people;
    people.implausible.then(|| {
        let message = format!(
            "{}: of {} people who logged in before and did so again within the hour, it does not know {} ({pod}). Nobody is disabled, and nobody is told that a password is wrong: they are told to try later. See whether its tree, the rights of the searcher (bind) and search.filter are what they were. People who are really gone: set spec.state of their Mailboxes",
            service.name, people.asked, people.missing
        );
        Finding::no(HEALTHY, "FarFewerPeople", message)
    })
}

/// None of its servers can be asked.
fn away(service: &Ldap, pod: &str, report: &Report) -> Option<Finding> {
    let troubles: Option<Vec<&Trouble>> = report.servers.iter().map(|it| it.trouble.as_ref()).collect();
    let trouble = *troubles?.first()?;
    let url = report.servers.first().map_or("", |server| &server.url);
    let (reason, remedy) = remedy(trouble.reason);
    let meanwhile = if service.fallback_local {
        "meanwhile the mailboxes' own passwords count (fallbackLocal)"
    } else {
        "meanwhile only app passwords are taken; others are told to try later"
    };
    let message = format!("{}: {url} ({pod}): {}: {remedy}; {meanwhile}", service.name, trouble.message);
    Some(Finding::no(HEALTHY, reason, message))
}

/// Some server of a service cannot be asked, and another one can.
fn degraded(pod: &str, reports: &BTreeMap<String, Report>) -> Option<String> {
    reports.iter().find_map(|(name, report)| {
        let server = report.servers.iter().find(|server| server.trouble.is_some())?;
        let trouble = server.trouble.as_ref()?;
        let (reason, remedy) = remedy(trouble.reason);
        let url = &server.url;
        Some(format!(
            "{name}: another server answers in place of {url} ({pod}): {reason}: {}: {remedy}",
            trouble.message
        ))
    })
}

/// The reason and what to do.
fn remedy(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Unreachable => (
            "Unreachable",
            "see whether the server runs, whether its name resolves and whether gateways may reach it",
        ),
        Reason::Silent => ("Silent", "see why the server is slow, or raise timeoutSeconds"),
        Reason::CertificateNotTrusted => (
            "CertificateNotTrusted",
            "put the authority that signed its certificate into the Secret that caSecret names, under ca.crt",
        ),
        Reason::CertificateInvalid => {
            ("CertificateInvalid", "renew its certificate, or name the host in urls that it is for")
        }
        Reason::TlsFailed => {
            ("TlsFailed", "let it speak TLS 1.2 or newer: ldaps:// at once, ldap:// by StartTLS")
        }
        Reason::BindRefused => ("BindRefused", "correct bind.dn, or the password in its Secret"),
        Reason::BaseNotFound => ("BaseNotFound", "correct search.baseDN, or let the searcher see it"),
        Reason::SearchRefused => ("SearchRefused", "let the searcher search, or name one in bind"),
        Reason::Unusable => ("Unusable", "correct spec.authentication.ldap or the Secrets that it names"),
        Reason::Failing => ("Failing", "see the server's log"),
    }
}

#[cfg(test)]
#[path = "ldap_tests.rs"]
mod tests;
