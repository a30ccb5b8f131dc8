//! The records of a domain, against a real name server on the loopback: `CoreDNS` with a zone that the test writes.

use std::{
    fs,
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
};

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mail_operator::{
    api::{
        MailDomain, MailDomainStatus,
        domain::{KeyUse, RecordState},
    },
    conditions,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    agent,
    harness::{self, TestApi},
    operator::{Running, apply, eventually},
};

/// A name server with the zones `x.vn` and `2.0.192.in-addr.arpa`; it ends with this.
struct NameServer {
    folder: TempDir,
    child: Child,
    address: String,
    serial: u32,
}

impl NameServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let corefile = format!(
            ".:{port} {{\n file {} x.vn {{\n reload 1s\n }}\n file {} 2.0.192.in-addr.arpa {{\n reload 1s\n }}\n}}\n",
            at("x.vn"),
            at("reverse"),
        );
        fs::write(at("Corefile"), corefile).unwrap();
        write_zone(folder.path(), "x.vn", 1, "");
        write_zone(folder.path(), "reverse", 1, "7 IN PTR mail.x.vn.\n");
        let child = Command::new(harness::bin().join("coredns"))
            .args(["-conf", &at("Corefile")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, child, address: format!("127.0.0.1:{port}"), serial: 1 }
    }

    /// Replaces the records of `x.vn`, names relative to it.
    fn publish(&mut self, records: &str) {
        self.serial += 1;
        write_zone(self.folder.path(), "x.vn", self.serial, records);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_zone(folder: &Path, name: &str, serial: u32, records: &str) {
    let head = format!("$TTL 1\n@ IN SOA ns.x.vn. a.x.vn. {serial} 60 60 60 1\n@ IN NS ns.x.vn.\n");
    let text = head + if name == "x.vn" { "ns IN A 127.0.0.1\n" } else { "" } + records;
    fs::write(folder.join("new"), text).unwrap();
    fs::rename(folder.join("new"), folder.join(name)).unwrap();
}

fn domains(api: &TestApi) -> Api<MailDomain> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn put(api: &TestApi, more: serde_json::Value) {
    let mut spec = json!({"domain": "x.vn", "system": {"name": "demo"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let object = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailDomain",
        "metadata": {"name": "x"}, "spec": spec});
    domains(api).patch("x", &PatchParams::apply("user").force(), &Patch::Apply(object)).await.unwrap();
}

fn reason(status: &MailDomainStatus) -> &str {
    conditions::get(&status.conditions, "DNSReady").map_or("", |found| &found.reason)
}

fn state(status: &MailDomainStatus, purpose: &str) -> Option<RecordState> {
    status.dns_records.iter().find(|record| record.purpose == purpose)?.state
}

fn quoted(part: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(part))
}

/// The zone that status asks for, with quoted strings of at most 255 bytes.
fn zone(status: &MailDomainStatus, without: &str) -> String {
    let wanted =
        status.dns_records.iter().filter(|record| record.purpose != without && record.purpose != "PTR");
    let lines = wanted.map(|record| {
        let data = match &*record.type_ {
            "TXT" => record.value.as_bytes().chunks(200).map(quoted).collect::<Vec<_>>().join(" "),
            "A" => "192.0.2.7".to_owned(),
            _ => record.value.clone(),
        };
        format!("{}. IN {} {data}\n", record.name, record.type_)
    });
    lines.collect()
}

#[tokio::test]
async fn each_record_is_looked_up_and_told_until_all_are_there() {
    let api = harness::api("dns").await;
    let mut server = NameServer::start();
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn", "resolver": {"addresses": [server.address]}})).await;
    let _replica = agent::start(&api, "127.9.7.1").await;
    put(&api, json!({})).await;
    let status = async || domains(&api).get("x").await.unwrap().status.unwrap_or_default();
    let said = eventually(status, |status| reason(status) == "RecordMissing").await;
    for record in &said.dns_records {
        assert_eq!(record.state, Some(RecordState::Missing), "{record:?}");
        assert!(!record.message.is_empty(), "{record:?}");
    }

    // All but one, which says something else.
    server.publish(&(zone(&said, "DMARC") + "_dmarc IN TXT \"v=DMARC1\"\n"));
    let differs = eventually(status, |status| reason(status) == "RecordDifferent").await;
    let dmarc = differs.dns_records.iter().find(|record| record.purpose == "DMARC").unwrap();
    assert_eq!(
        (dmarc.state, dmarc.seen.as_slice()),
        (Some(RecordState::Different), ["v=DMARC1".to_owned()].as_slice())
    );
    for purpose in ["MX", "SPF", "DKIM", "TLS-RPT", "MTA-STS", "A", "PTR"] {
        assert_eq!(state(&differs, purpose), Some(RecordState::Ok), "{purpose}: {differs:?}");
    }

    server.publish(&zone(&said, ""));
    let ready = eventually(status, |status| reason(status) == "RecordsPublished").await;
    assert!(conditions::is_true(&ready.conditions, "DNSReady"));

    // A restart, and looking again, write nothing.
    let version = async || domains(&api).get("x").await.unwrap().metadata.resource_version;
    let before = version().await;
    operator.stop().await;
    let operator = Running::start(&api, "two").await;
    let looked = async || operator.metrics().await;
    eventually(looked, |text| text.contains("mail_directory_latency_seconds_count 1")).await;
    assert_eq!(version().await, before);

    put(&api, json!({"dnsCheck": false})).await;
    let off = eventually(status, |status| reason(status) == "CheckDisabled").await;
    assert!(off.dns_records.iter().all(|record| record.state.is_none()), "{off:?}");
    operator.stop().await;
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_makes_records_unknown() {
    let api = harness::api("dns").await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let operator = Running::start(&api, "one").await;
    let address = silent.local_addr().unwrap().to_string();
    apply(&api, json!({"hostname": "mail.x.vn", "resolver": {"addresses": [address]}})).await;
    put(&api, json!({})).await;
    let status = async || domains(&api).get("x").await.unwrap().status.unwrap_or_default();
    let said = eventually(status, |status| reason(status) == "LookupFailed").await;
    assert_eq!(state(&said, "MX"), Some(RecordState::Unknown));
    operator.stop().await;
}

#[tokio::test]
async fn signing_goes_over_to_a_new_key_when_its_record_was_seen() {
    let api = harness::api("rotation").await;
    let mut server = NameServer::start();
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn", "resolver": {"addresses": [server.address]}})).await;
    let _replica = agent::start_without_antispam(&api, "127.9.8.1").await;
    let folder = tempfile::tempdir().unwrap();
    agent::antispam(&api, "127.9.8.2", folder.path()).await;
    let signs = || fs::read_to_string(folder.path().join("x.vn.selector")).unwrap_or_default();
    let status = async || domains(&api).get("x").await.unwrap().status.unwrap_or_default();
    let signing = |status: &MailDomainStatus| conditions::is_true(&status.conditions, "DkimKeyAvailable");
    put(&api, json!({})).await;
    let first = eventually(status, |status| signing(status) && reason(status) == "RecordMissing").await;
    server.publish(&zone(&first, ""));
    eventually(status, |status| reason(status) == "RecordsPublished").await;
    assert_eq!(signs(), "mail");

    let of = |status: &MailDomainStatus, use_: KeyUse| {
        status.dns_records.iter().find(|record| record.key_use == Some(use_)).cloned()
    };
    put(&api, json!({"dkim": {"selector": "new", "rotateEvery": "90d"}})).await;
    let announced = eventually(status, |status| {
        of(status, KeyUse::Next).is_some_and(|next| next.state == Some(RecordState::Missing))
    });
    let announced = announced.await;
    assert_eq!(of(&announced, KeyUse::Next).unwrap().name, "new._domainkey.x.vn");
    assert_eq!((signs(), reason(&announced)), ("mail".to_owned(), "RecordMissing"));
    assert!(signing(&announced), "signed with the former key meanwhile");

    server.publish(&zone(&announced, ""));
    let over = eventually(status, |status| signing(status) && of(status, KeyUse::Former).is_some()).await;
    let former = of(&over, KeyUse::Former).unwrap();
    assert_eq!(signs(), "new");
    assert_eq!(former.name, "mail._domainkey.x.vn");
    let kept = former.until.unwrap().0.as_second() - k8s_openapi::jiff::Timestamp::now().as_second();
    assert!((6 * 86_400..=7 * 86_400).contains(&kept), "{kept}");
    operator.stop().await;
}
