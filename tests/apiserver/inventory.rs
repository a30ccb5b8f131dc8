//! Objects that go along with a backup: gathered, deleted, and made again from the bytes that went along.

use std::collections::BTreeMap;

use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use mail_operator::{
    api::{MailBackup, MailRestore, Mailbox},
    job::{Said, objects},
    names::{PASSWORD_OF, RECOVER, SystemName},
    operator::{
        backup::inventory::{self, bare::bare, kind::Kind, pack},
        restore::objects::{Brought, bring_back, make_all, recipient},
    },
};
use serde_json::{Value, json};

use crate::{
    harness::{self, TestApi},
    mailbox::served,
    operator::{Running, eventually},
    rbac,
};

const RUN: &str = "nightly-20261201-013000";

fn of_kind(api: &TestApi, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(api.client.clone(), namespace, &kind.resource())
}

async fn make(api: &TestApi, kind: Kind, namespace: &str, name: &str, mut content: Value) {
    content["apiVersion"] = kind.api_version().into();
    content["kind"] = kind.name().into();
    content["metadata"]["name"] = name.into();
    let object = serde_json::from_value(content).unwrap();
    of_kind(api, kind, namespace).create(&PostParams::default(), &object).await.unwrap();
}

/// All that is there in these namespaces, by kind and name, as far as people wrote it.
async fn all(api: &TestApi, namespaces: &[&str]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for kind in Kind::ALL {
        for namespace in namespaces {
            for object in of_kind(api, kind, namespace).list(&ListParams::default()).await.unwrap() {
                let name = object.metadata.name.clone().unwrap();
                found.insert(format!("{} {namespace}/{name}", kind.name()), bare(kind, &object).unwrap());
            }
        }
    }
    found
}

async fn delete_all(api: &TestApi, namespaces: &[&str]) {
    for kind in Kind::ALL {
        for namespace in namespaces {
            let objects = of_kind(api, kind, namespace);
            objects.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        }
    }
}

/// A system with two namespaces, more mailboxes than the API server gives at once, and what does not belong to it.
async fn province(api: &TestApi, tenant: &str) -> MailBackup {
    let own = api.namespace.clone();
    let spec = |spec: Value| json!({"spec": spec});
    let secret = |secret: &str| json!({"data": {"password": secret}, "type": "Opaque"});
    let system = json!({
        "hostname": "mail.x.vn", "tenantNamespaces": [tenant], "tls": {"secretName": "cert"},
        "journal": {"objectStorage": {"bucket": "mail", "credentialsSecret": "s3"}},
    });
    make(api, Kind::System, &own, "province", spec(system)).await;
    make(api, Kind::System, &own, "another", spec(json!({"hostname": "mail.z.vn"}))).await;
    for (namespace, name, domain, of) in [
        (own.as_str(), "x", "x.vn", "province"),
        (tenant, "y", "y.vn", "province"),
        (&own, "z", "z.vn", "another"),
    ] {
        let domain = json!({"domain": domain, "system": {"name": of, "namespace": own}});
        make(api, Kind::Domain, namespace, name, spec(domain)).await;
    }
    for n in 0..520 {
        make(api, Kind::Mailbox, tenant, &format!("m{n}"), spec(json!({"address": format!("m{n}@y.vn")})))
            .await;
    }
    let mut an = spec(json!({"address": "an@x.vn", "aliases": ["a@x.vn"], "displayName": "Nguyễn Văn An"}));
    an["metadata"] = json!({"labels": {"unit": "van-thu"}, "annotations": {"note": "x", "mail.angiang.gov.vn/adopt": "an@x.vn"}});
    make(api, Kind::Mailbox, &own, "an", an).await;
    let phone = json!([{"name": "phone", "secret": {"name": "binh-phone"}}]);
    let binh =
        json!({"address": "binh@x.vn", "passwordSecret": {"name": "binh-2027"}, "appPasswords": phone});
    make(api, Kind::Mailbox, &own, "binh", spec(binh)).await;
    make(api, Kind::Mailbox, &own, "stranger", spec(json!({"address": "stranger@z.vn"}))).await;
    let group = json!({"address": "all@x.vn", "members": ["an@x.vn", "m1@y.vn"]});
    make(api, Kind::Group, &own, "all", spec(group)).await;
    for (namespace, name) in [
        (own.as_str(), "cert"),
        (&own, "s3"),
        (&own, "binh-2027"),
        (&own, "binh-phone"),
        (&own, "province-journal-key"),
        (&own, "province-dkim"),
        (&own, "backup-password"),
        (&own, "unrelated"),
        (&own, "stranger-credentials"),
        (tenant, "unrelated"),
    ] {
        make(api, Kind::Secret, namespace, name, secret("dmVyeSBzZWNyZXQ=")).await;
    }
    let mut generated = secret("Z2VuZXJhdGVk");
    generated["metadata"] = json!({"labels": {"app.kubernetes.io/managed-by": "mail-operator"}});
    make(api, Kind::Secret, tenant, "m1-credentials", generated).await;
    backup(api, "WithSecrets").await
}

async fn backup(api: &TestApi, secrets: &str) -> MailBackup {
    let backup = json!({
        "apiVersion": Kind::Backup.api_version(), "kind": "MailBackup",
        "metadata": {"name": "nightly"},
        "spec": {
            "system": {"name": "province"}, "repository": {"volume": {"claim": "backups"}},
            "encryptionSecret": "backup-password", "schedule": "30 1 * * *", "objects": secrets,
        },
    });
    let backups: Api<MailBackup> = Api::namespaced(api.client.clone(), &api.namespace);
    backups.patch("nightly", &PatchParams::apply("user").force(), &Patch::Apply(backup)).await.unwrap()
}

/// What went along with a run, as the pod of the run gets it.
async fn went_along(api: &TestApi, backup: &MailBackup) -> Vec<u8> {
    let names = inventory::export(&api.client, None, backup, RUN).await.unwrap();
    assert!(!names.is_empty());
    let mut packed = Vec::new();
    for name in names {
        let secret: k8s_openapi::api::core::v1::Secret =
            Api::namespaced(api.client.clone(), &api.namespace).get(&name).await.unwrap();
        assert_eq!(secret.metadata.owner_references.unwrap()[0].kind, "MailBackup");
        packed.append(&mut secret.data.unwrap().remove(objects::PART).unwrap().0);
    }
    packed
}

/// The log of the Job that prints them for a restore.
async fn printed(api: &TestApi, restore: &MailRestore, packed: &[u8]) -> String {
    let recipient = recipient(&api.client, restore).await.unwrap();
    let again = mail_operator::operator::restore::objects::recipient(&api.client, restore).await.unwrap();
    assert_eq!(recipient, again, "it is made once");
    let (lines, done) = objects::say(packed, &recipient.parse().unwrap()).unwrap();
    lines.join("\n") + "\n" + &Said::Done(done).line()
}

async fn restore(api: &TestApi, system: &str, dry_run: bool) -> MailRestore {
    let name = if dry_run { "try" } else { "recovery" };
    let spec = json!({
        "system": {"name": system}, "from": {"snapshot": RUN}, "mailboxes": {"all": true}, "objects": true,
        "dryRun": dry_run,
    });
    let restore = json!({"apiVersion": Kind::Backup.api_version(), "kind": "MailRestore", "metadata": {"name": name}, "spec": spec});
    let restores: Api<MailRestore> = Api::namespaced(api.client.clone(), &api.namespace);
    restores.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(restore)).await.unwrap()
}

fn counts(brought: &Brought) -> (u64, u64, u64, u64) {
    (brought.made, brought.there, brought.failed, brought.waiting)
}

#[tokio::test]
async fn what_went_along_is_what_was_written_and_comes_back_as_it_was() {
    let api = harness::api("inventory").await;
    let tenant = api.another_namespace("tenant").await;
    let (own, tenant) = (api.namespace.as_str(), tenant.as_str());
    let backup = province(&api, tenant).await;
    let name = SystemName::new(own, "province");

    let packed = went_along(&api, &backup).await;
    assert_eq!(went_along(&api, &backup).await, packed, "the same objects are the same bytes");
    inventory::remove(&api.client, own, RUN).await.unwrap();
    inventory::remove(&api.client, own, RUN).await.unwrap();
    let before = all(&api, &[own, tenant]).await;
    assert!(!before.keys().any(|key| key.contains("-objects-")));

    let lines: Vec<Value> = pack::objects(&packed).unwrap().map(Result::unwrap).collect();
    let kinds: Vec<_> = lines
        .iter()
        .map(|it| Kind::of(it["apiVersion"].as_str().unwrap(), it["kind"].as_str().unwrap()).unwrap())
        .collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    let key = |it: &Value| {
        let metadata = &it["metadata"];
        format!(
            "{} {}/{}",
            it["kind"].as_str().unwrap(),
            metadata["namespace"].as_str().unwrap(),
            metadata["name"].as_str().unwrap()
        )
    };
    let along: BTreeMap<_, _> = lines.iter().map(|line| (key(line), line.clone())).collect();
    let mut expected = before.clone();
    expected.retain(|key, _| {
        !["backup-password", "unrelated", "stranger", "another", "MailDomain", "kube-root-ca"]
            .iter()
            .any(|it| key.contains(it))
            || key.ends_with("/x")
            || key.ends_with("/y")
    });
    let of_m1 = format!("Secret {tenant}/m1-credentials");
    expected.get_mut(&of_m1).unwrap()["metadata"]["annotations"] = json!({PASSWORD_OF: "m1@y.vn"});
    assert_eq!(along, expected);

    // As on another cluster, where the namespaces do not know of it yet.
    delete_all(&api, &[own, tenant]).await;
    // By hand it goes as well.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.json");
    std::fs::write(&file, zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let made =
        api.run("kubectl", &["create", "--dry-run=server", "-o", "name", "-f", file.to_str().unwrap()]);
    assert_eq!(made.lines().count(), along.len());
    let account = rbac::install(&api, &[]);
    let operator = api.as_service_account(own, &account);
    let again = async |dry_run| {
        let restore = restore(&api, "province", dry_run).await;
        let log = printed(&api, &restore, &packed).await;
        bring_back(&operator, &restore, &log, |_| ()).await.unwrap()
    };
    let in_tenant = along.keys().filter(|key| key.contains(&format!(" {tenant}/"))).count() as u64;
    let here = along.len() as u64 - in_tenant;
    let tried = again(true).await;
    assert_eq!(counts(&tried), (here, 0, 0, in_tenant), "{:?}", tried.problems);
    assert!(of_kind(&api, Kind::Mailbox, own).get_opt("an").await.unwrap().is_none(), "it was only tried");
    let brought = again(false).await;
    assert_eq!(counts(&brought), (here, 0, 0, in_tenant), "{:?}", brought.problems);
    let (reason, message) = brought.trouble().unwrap();
    assert!(reason == "NamespacesMissing" && message.contains(&format!("for n in {tenant};")), "{message}");

    api.run("kubectl", &["annotate", "namespace", tenant, &format!("{RECOVER}={name}")]);
    let brought = again(false).await;
    assert_eq!(counts(&brought), (in_tenant, here, 0, 0), "{:?}", brought.problems);
    assert_eq!((brought.trouble(), counts(&again(false).await)), (None, (0, in_tenant + here, 0, 0)));
    let mut back = all(&api, &[own, tenant]).await;
    let suspended = back.get_mut(&format!("MailBackup {own}/nightly")).unwrap();
    assert_eq!(suspended["spec"]["suspend"].take(), true);
    suspended["spec"]["suspend"] = false.into();
    back.retain(|key, _| along.contains_key(key));
    expected.get_mut(&of_m1).unwrap()["metadata"].as_object_mut().unwrap().remove("annotations");
    assert_eq!(back, expected);
}

#[tokio::test]
async fn without_secrets_nothing_secret_goes_along_and_without_a_system_nothing() {
    let api = harness::api("bare").await;
    let tenant = api.another_namespace("tenant").await;
    province(&api, &tenant).await;
    let backup = backup(&api, "WithoutSecrets").await;
    let packed = went_along(&api, &backup).await;
    let text: Vec<_> = pack::objects(&packed).unwrap().map(|object| object.unwrap().to_string()).collect();
    assert!(
        text.len() > 520
            && !text.iter().any(|it| it.contains("\"Secret\"") || it.contains("dmVyeSBzZWNyZXQ="))
    );
    of_kind(&api, Kind::System, &api.namespace).delete("province", &DeleteParams::default()).await.unwrap();
    let error = inventory::export(&api.client, None, &backup, RUN).await.unwrap_err();
    assert_eq!(error.reason(), "SystemNotFound");
}

#[tokio::test]
async fn who_may_restore_into_one_namespace_writes_nothing_into_others_and_over_nothing() {
    let api = harness::api("hostile").await;
    let other = api.another_namespace("other").await;
    let own = api.namespace.as_str();
    let object = |kind: Kind, namespace: &str, name: &str, spec: Value| json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"namespace": namespace, "name": name}, "spec": spec});
    let reference = json!({"name": "province", "namespace": own});
    let token = "kubernetes.io/service-account-token";
    let mut token = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": own, "name": "an-credentials"}, "type": token});
    token["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
    let mut packer = pack::Packer::default();
    for (kind, object) in [
        (Kind::Secret, token),
        (Kind::System, object(Kind::System, own, "province", json!({"hostname": "mail.theirs.vn"}))),
        (Kind::Domain, object(Kind::Domain, &other, "x", json!({"domain": "x.vn", "system": reference}))),
        (Kind::Domain, object(Kind::Domain, own, "y", json!({"domain": "y.vn", "system": reference}))),
        (Kind::Mailbox, object(Kind::Mailbox, &other, "an", json!({"address": "an@x.vn"}))),
        (Kind::Mailbox, object(Kind::Mailbox, own, "an", json!({"address": "an@y.vn"}))),
        (Kind::Mailbox, object(Kind::Mailbox, own, "bad", json!({"address": "anyone@y.vn"}))),
    ] {
        packer.put(kind, &object).unwrap();
    }
    let system = json!({"spec": {"hostname": "mail.ours.vn"}});
    make(&api, Kind::System, own, "province", system).await;
    make(&api, Kind::Secret, own, "province-journal-key", json!({"data": {"identity": "b3Vycw=="}})).await;
    let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": own, "name": "province-journal-key"}, "data": {"identity": "dGhlaXJz"}});
    packer.put(Kind::Secret, &key).unwrap();
    let name = SystemName::new(own, "province");
    let objects = packer.finish().unwrap();
    let brought = make_all(&api.client, &name, objects, false, |_| ()).await.unwrap();
    assert_eq!(counts(&brought), (2, 2, 2, 2), "{:?}", brought.problems);
    let problems = brought.problems.join("\n");
    for said in ["province-journal-key: another one is there", "an-credentials: no object names it", "/bad: "]
    {
        assert!(problems.contains(said), "{problems}");
    }
    assert_eq!(brought.namespaces, [other.clone()].into());
    let left = all(&api, &[&other]).await;
    assert!(left.keys().all(|key| key.contains("kube-root-ca")), "{left:?}");
    let ours = of_kind(&api, Kind::System, own).get("province").await.unwrap();
    assert_eq!(ours.data["spec"]["hostname"], "mail.ours.vn");
}

#[tokio::test]
async fn a_generated_password_and_the_keys_outlive_the_cluster_while_the_operator_looks_on() {
    let api = harness::api("outlive").await;
    let own = api.namespace.as_str();
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let backups: Api<MailBackup> = Api::namespaced(api.client.clone(), own);
    let spec = json!({
        "system": {"name": "demo"}, "repository": {"volume": {"claim": "backups"}},
        "encryptionSecret": "backup-password", "objects": "WithSecrets", "suspend": true,
    });
    let backup = json!({"apiVersion": Kind::Backup.api_version(), "kind": "MailBackup", "metadata": {"name": "nightly"}, "spec": spec});
    let backup =
        backups.patch("nightly", &PatchParams::apply("user").force(), &Patch::Apply(backup)).await.unwrap();
    let phone = json!([{"name": "phone", "secret": {"name": "an-phone"}}]);
    make(&api, Kind::Mailbox, own, "an", json!({"spec": {"address": "an@x.vn", "appPasswords": phone}}))
        .await;
    let data = async |name: &str| {
        let secret = of_kind(&api, Kind::Secret, own).get_opt(name).await.unwrap()?;
        Some(secret.data["data"].clone())
    };
    let made = ["an-credentials", "an-phone", "demo-dkim"];
    let mut before = BTreeMap::new();
    for name in made {
        let there = |found: &Option<Value>| {
            found.as_ref().is_some_and(|data| name != "demo-dkim" || data["x.vn.mail.key"].is_string())
        };
        before.insert(name, eventually(async || data(name).await, there).await.unwrap());
    }
    let packed = went_along(&api, &backup).await;
    operator.stop().await;
    delete_all(&api, &[own]).await;

    let operator = Running::start(&api, "two").await;
    let name = SystemName::new(own, "demo");
    let brought = make_all(&api.client, &name, packed, false, |_| ()).await.unwrap();
    assert_eq!((brought.trouble(), brought.there), (None, 0), "{brought:?}");
    let mailboxes: Api<Mailbox> = Api::namespaced(api.client.clone(), own);
    let uid = mailboxes.get("an").await.unwrap().metadata.uid.unwrap();
    for name in ["an-credentials", "an-phone"] {
        let owned = async || of_kind(&api, Kind::Secret, own).get(name).await.unwrap().metadata;
        let metadata = eventually(owned, |metadata| metadata.owner_references.is_some()).await;
        assert_eq!(metadata.owner_references.unwrap()[0].uid, uid);
        assert!(!metadata.annotations.unwrap_or_default().contains_key(PASSWORD_OF));
    }
    for name in made {
        assert_eq!(data(name).await.as_ref(), before.get(name), "{name}");
    }
    operator.stop().await;
}
