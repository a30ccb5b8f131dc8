//! Asking a resolver. Questions come in, answers go out; the number of questions at a time and the time of each are
//! bounded. Nothing is cached here: the resolver that is asked does that.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt, stream};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};

use super::{Answer, Answers, Question, Type, expected::pointer_name};

/// Questions at a time.
const PARALLEL: usize = 4;
/// How long a server may take, twice.
const PATIENCE: Duration = Duration::from_secs(3);
/// Addresses whose names are asked for.
const ADDRESSES: usize = 4;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Asks `servers`, or if there are none those of the pod, and then for the names of the addresses found.
pub async fn ask(servers: &[SocketAddr], questions: Vec<Question>) -> Answers {
    let resolver = match resolver(servers).await {
        Ok(resolver) => resolver,
        Err(why) => {
            return questions.into_iter().map(|question| (question, Answer::Failed(why.clone()))).collect();
        }
    };
    let mut answers = all(&resolver, questions).await;
    let addresses = answers.iter().filter_map(|((_, type_), answer)| match (type_, answer) {
        (Type::A, Answer::Records(addresses)) => Some(addresses),
        _ => None,
    });
    let names = addresses.flatten().take(ADDRESSES).filter_map(|address| pointer_name(address));
    let pointers = names.map(|name| (name, Type::Ptr)).collect();
    answers.extend(all(&resolver, pointers).await);
    answers
}

async fn all(resolver: &TokioResolver, questions: Vec<Question>) -> Answers {
    let asking = questions.into_iter().map(|question| async {
        let answer = one(resolver, &question).await;
        (question, answer)
    });
    stream::iter(asking).buffer_unordered(PARALLEL).collect().await
}

async fn one(resolver: &TokioResolver, (name, type_): &Question) -> Answer {
    let wanted: &[RecordType] = match type_ {
        Type::A => &[RecordType::A, RecordType::AAAA],
        Type::Mx => &[RecordType::MX],
        Type::Ptr => &[RecordType::PTR],
        Type::Txt => &[RecordType::TXT],
    };
    let mut found = Vec::new();
    for one in wanted {
        match resolver.lookup(format!("{name}."), *one).await {
            Ok(lookup) => found.extend(lookup.answers().iter().filter_map(|record| present(&record.data))),
            Err(error) if error.is_no_records_found() => {}
            Err(error) => return Answer::Failed(words(&error)),
        }
    }
    found.sort();
    if found.is_empty() { Answer::Nothing } else { Answer::Records(found) }
}

/// The data in presentation form; none of a type that was not asked for.
fn present(data: &RData) -> Option<String> {
    Some(match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::MX(mx) => format!("{} {}", mx.preference, mx.exchange),
        RData::PTR(name) => name.0.to_string(),
        RData::TXT(text) => {
            let bytes: Vec<u8> = text.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    })
}

/// One of few phrases: an error's own words may name ports and times, which would change status each time.
fn words(error: &NetError) -> String {
    match error {
        NetError::Timeout => "no answer in time",
        NetError::Dns(_) => "the resolver could not answer",
        _ => "the resolver cannot be reached",
    }
    .to_owned()
}

async fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let servers = match servers {
        [] => {
            let text = tokio::fs::read_to_string(RESOLV_CONF).await.map_err(|error| error.to_string())?;
            nameservers(&text)
        }
        given => given.to_vec(),
    };
    if servers.is_empty() {
        return Err(format!("{RESOLV_CONF} names no server"));
    }
    let servers = servers.into_iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = PATIENCE;
    options.attempts = 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
    builder.build().map_err(|error| error.to_string())
}

/// The servers that a `resolv.conf` names.
fn nameservers(text: &str) -> Vec<SocketAddr> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = values.filter_map(|value| value.trim().parse::<IpAddr>().ok());
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_own_servers_are_those_of_its_resolv_conf() {
        let text =
            "search x.svc\nnameserver 10.96.0.10\n nameserver  fd00::a\n#nameserver 1.1.1.1\nnameserver x\n";
        let found: Vec<_> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.96.0.10:53", "[fd00::a]:53"]);
    }
}
