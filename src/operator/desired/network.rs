//! Network policies: exactly the arrows between the parts. Pure.
//!
//! ```text
//!  world ─▶ gateway ─▶ antispam ─▶ cache          agents (gateway, store, antispam) ─▶ API server
//!              │  └──▶ antivirus ─▶ world (signatures)
//!              ├─────▶ cache (counts of what is sent)
//!              ├─────▶ store ─▶ gateway (mail that Sieve sends), store (the other of its shard)
//!  Jobs of backups ─────▶ store (mail that comes back), object storage
//!              └─────▶ world (mail), object storage, directory services
//! ```

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{backup, pod};
use crate::{
    names::{self, Component, SystemName, ports},
    operator::system::{
        validated::{Signatures, Validated},
        values::RelayHost,
    },
};

const API_SERVER: [u16; 2] = [443, 6443];
const STORE_PORTS: [u16; 5] =
    [ports::DOOR, ports::CYRUS_IMAP, ports::CYRUS_POP3, ports::CYRUS_SIEVE, ports::ROLE];
/// Of stores for each other.
const PEER_PORTS: [u16; 2] = [ports::ROLE, ports::CYRUS_SYNC];

/// What a component's pods may receive and send.
pub fn policy(v: &Validated, component: Component) -> NetworkPolicy {
    let to = |to, ports: &[u16]| egress(Some(vec![peer(v, to)]), tcp(ports));
    let from = |from, ports: &[u16]| ingress(Some(vec![peer(v, from)]), tcp(ports));
    let (ingress, egress) = match component {
        Component::Gateway => {
            let outer = [
                ports::SMTP,
                ports::SUBMISSIONS,
                ports::SUBMISSION,
                ports::PROXY_IMAPS,
                ports::PROXY_POP3S,
                ports::SIEVE,
            ];
            let mut out = vec![
                dns(),
                to(Component::Antispam, &[ports::ANTISPAM]),
                to(Component::Antivirus, &[ports::ANTIVIRUS]),
                to(Component::Store, &STORE_PORTS),
                to(Component::Cache, &[ports::CACHE]),
                egress(None, tcp(&API_SERVER)),
                egress(None, tcp(&mail_ports(v))),
            ];
            out.extend(v.journal.iter().map(|journal| egress(None, tcp(&[journal.port]))));
            out.extend((!v.ldap_ports.is_empty()).then(|| egress(None, tcp(&v.ldap_ports))));
            (vec![ingress(None, tcp(&outer)), from(Component::Store, &[ports::STORE_SMTP]), observers()], out)
        }
        Component::Store => {
            let out = vec![
                dns(),
                to(Component::Gateway, &[ports::STORE_SMTP]),
                to(Component::Store, &PEER_PORTS),
                egress(None, tcp(&API_SERVER)),
            ];
            let others = from(Component::Store, &PEER_PORTS);
            let jobs = ingress(Some(vec![jobs(&v.name)]), tcp(&[ports::ROLE]));
            (vec![from(Component::Gateway, &STORE_PORTS), others, jobs, observers()], out)
        }
        Component::Antispam => {
            let out = vec![dns(), to(Component::Cache, &[ports::CACHE]), egress(None, tcp(&API_SERVER))];
            (vec![from(Component::Gateway, &[ports::ANTISPAM]), observers()], out)
        }
        Component::Antivirus => {
            let out = match v.antivirus.signatures {
                Signatures::Mirrors(_) => vec![dns(), egress(None, tcp(&[80, 443]))],
                Signatures::Secret(_) => Vec::new(),
            };
            (vec![from(Component::Gateway, &[ports::ANTIVIRUS])], out)
        }
        Component::Cache => {
            let by = [Component::Antispam, Component::Gateway];
            (by.map(|by| from(by, &[ports::CACHE])).into(), Vec::new())
        }
    };
    NetworkPolicy {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pod::selector(v, component)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress),
            egress: (!egress.is_empty()).then_some(egress),
        }),
    }
}

/// What the pods of Jobs on repositories may send, and that they receive nothing. They are those with these labels.
pub fn of_jobs(
    metadata: ObjectMeta,
    labels: BTreeMap<String, String>,
    system: &SystemName,
    storage: Option<u16>,
) -> NetworkPolicy {
    let stores = NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(system.selector(Component::Store)),
            match_expressions: None,
        }),
        ..NetworkPolicyPeer::default()
    };
    let mut out = vec![dns(), egress(Some(vec![stores]), tcp(&[ports::ROLE]))];
    out.extend(storage.map(|port| egress(None, tcp(&[port]))));
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(labels), match_expressions: None }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: None,
            egress: Some(out),
        }),
    }
}

/// Pods of Jobs, whichever backup they are of.
fn jobs(system: &SystemName) -> NetworkPolicyPeer {
    let mut labels = system.labels();
    labels.insert("app.kubernetes.io/component".to_owned(), backup::COMPONENT.to_owned());
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector { match_labels: Some(labels), match_expressions: None }),
        ..NetworkPolicyPeer::default()
    }
}

/// Where mail leaves to: port 25 of the world, and the relay's port.
fn mail_ports(v: &Validated) -> Vec<u16> {
    let relay = v.gateway.relay_host.as_ref().map(RelayHost::port).filter(|port| *port != ports::SMTP);
    [ports::SMTP].into_iter().chain(relay).collect()
}

/// The operator and Prometheus, wherever they run, read metrics and status.
fn observers() -> NetworkPolicyIngressRule {
    let anywhere = |labels: &[(&str, &str)]| NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector {
            match_labels: Some(
                labels
                    .iter()
                    .map(|(key, value)| (format!("app.kubernetes.io/{key}"), (*value).to_owned()))
                    .collect(),
            ),
            match_expressions: None,
        }),
        ip_block: None,
    };
    let operator = anywhere(&[("name", names::MANAGER), ("component", "operator")]);
    ingress(Some(vec![operator, anywhere(&[("name", "prometheus")])]), tcp(&[ports::HTTP]))
}

fn dns() -> NetworkPolicyEgressRule {
    egress(None, [port("UDP", 53), port("TCP", 53)].into())
}

fn peer(v: &Validated, component: Component) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(pod::selector(v, component)), ..NetworkPolicyPeer::default() }
}

fn ingress(from: Option<Vec<NetworkPolicyPeer>>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from, ports: Some(ports) }
}

fn egress(to: Option<Vec<NetworkPolicyPeer>>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to, ports: Some(ports) }
}

fn tcp(numbers: &[u16]) -> Vec<NetworkPolicyPort> {
    numbers.iter().map(|number| port("TCP", *number)).collect()
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    let number = Some(IntOrString::Int(number.into()));
    NetworkPolicyPort { port: number, protocol: Some(protocol.to_owned()), end_port: None }
}
