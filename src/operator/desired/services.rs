//! The Services. Pure.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::pod;
use crate::{
    api::system::ServiceType,
    names::{Component, SHARD_LABEL, ports},
    operator::system::validated::Validated,
};

/// The Service through which the world reaches the gateways.
pub fn front(v: &Validated) -> Service {
    let ports = vec![
        port("smtp", ports::SMTP, ports::SMTP),
        port("submissions", ports::SUBMISSIONS, ports::SUBMISSIONS),
        port("submission", ports::SUBMISSION, ports::SUBMISSION),
        port("imaps", ports::IMAPS, ports::PROXY_IMAPS),
        port("pop3s", ports::POP3S, ports::PROXY_POP3S),
        port("sieve", ports::SIEVE, ports::SIEVE),
    ];
    let mut service = service(v, v.name.component(Component::Gateway), Component::Gateway, ports);
    if !v.gateway.service_annotations.is_empty() {
        service.metadata.annotations = Some(v.gateway.service_annotations.clone());
    }
    if let Some(spec) = &mut service.spec {
        spec.type_ = Some(format!("{:?}", v.gateway.service_type));
        // The client's address must reach Postfix, or SPF and limits judge a node instead.
        spec.external_traffic_policy =
            (v.gateway.service_type != ServiceType::ClusterIP).then(|| "Local".to_owned());
    }
    service
}

/// Names of the gateway pods.
pub fn gateway_pods(v: &Validated) -> Service {
    let ports = vec![port("http", ports::HTTP, ports::HTTP)];
    headless(service(v, v.name.gateway_pods(), Component::Gateway, ports), true)
}

/// Names of a shard's pods, also while they are not ready: the gateways' agents judge for themselves.
pub fn store(v: &Validated, shard: u32) -> Service {
    let ports = vec![
        port("lmtp", ports::DOOR, ports::DOOR),
        port("imap", ports::CYRUS_IMAP, ports::CYRUS_IMAP),
        port("pop3", ports::CYRUS_POP3, ports::CYRUS_POP3),
        port("sieve", ports::CYRUS_SIEVE, ports::CYRUS_SIEVE),
        port("http", ports::HTTP, ports::HTTP),
        port("role", ports::ROLE, ports::ROLE),
    ];
    let mut service = headless(service(v, v.name.store(shard), Component::Store, ports), true);
    let own = (SHARD_LABEL.to_owned(), shard.to_string());
    service.metadata.labels.get_or_insert_default().extend([own.clone()]);
    if let Some(selector) = service.spec.as_mut().and_then(|spec| spec.selector.as_mut()) {
        selector.extend([own]);
    }
    service
}

/// Rspamd's milter.
pub fn antispam(v: &Validated) -> Service {
    let ports = vec![port("milter", ports::ANTISPAM, ports::ANTISPAM)];
    service(v, v.name.component(Component::Antispam), Component::Antispam, ports)
}

/// The addresses of every clamd that is ready, among which the gateways' agents choose.
pub fn antivirus(v: &Validated) -> Service {
    let ports = vec![port("clamd", ports::ANTIVIRUS, ports::ANTIVIRUS)];
    headless(service(v, v.name.component(Component::Antivirus), Component::Antivirus, ports), false)
}

/// Valkey.
pub fn cache(v: &Validated) -> Service {
    let ports = vec![port("valkey", ports::CACHE, ports::CACHE)];
    service(v, v.name.component(Component::Cache), Component::Cache, ports)
}

fn service(v: &Validated, name: String, component: Component, ports: Vec<ServicePort>) -> Service {
    Service {
        metadata: pod::meta(v, name, Some(component)),
        spec: Some(ServiceSpec {
            selector: Some(v.name.selector(component)),
            ports: Some(ports),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn headless(mut service: Service, not_ready_too: bool) -> Service {
    if let Some(spec) = &mut service.spec {
        spec.cluster_ip = Some("None".to_owned());
        spec.publish_not_ready_addresses = not_ready_too.then_some(true);
    }
    service
}

fn port(name: &str, number: u16, target: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number.into(),
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(target.into())),
        ..ServicePort::default()
    }
}
