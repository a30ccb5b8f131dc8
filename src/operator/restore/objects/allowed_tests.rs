//! Which objects of a snapshot are made.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const GROUP: &str = "mail.angiang.gov.vn/v1alpha1";

fn object(kind: &str, place: &str, spec: &Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    json!({"apiVersion": GROUP, "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

fn secret(place: &str) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "data": {}})
}

fn allowed() -> Allowed {
    let mut allowed = Allowed::new(SystemName::new("mail", "province"));
    let reference = json!({"name": "province", "namespace": "mail"});
    for object in [
        object("MailSystem", "mail/province", &json!({"tls": {"secretName": "cert"}})),
        object("MailSystem", "mail/another", &json!({"tls": {"secretName": "theirs"}})),
        object("MailDomain", "health/x", &json!({"domain": "x.vn", "system": reference})),
        object("Mailbox", "health/an", &json!({"address": "an@x.vn"})),
    ] {
        allowed.learn(&object);
    }
    allowed
}

fn refused(object: &Value) -> bool {
    matches!(allowed().judge(object), Verdict::Refuse(_))
}

#[test]
fn what_belongs_to_the_system_is_made_as_it_is() {
    for object in [
        object("MailSystem", "mail/province", &json!({"hostname": "mail.x.vn"})),
        object("Mailbox", "health/an", &json!({"address": "an@x.vn"})),
        object("MailGroup", "health/all", &json!({"address": "all@x.vn"})),
        secret("health/an-credentials"),
        secret("mail/province-journal-key"),
        secret("mail/cert"),
    ] {
        assert!(matches!(allowed().judge(&object), Verdict::Make(_, made) if made == object), "{object}");
    }
    assert_eq!(allowed().judge(&object("RetiredMailbox", "health/an-0", &json!({}))), Verdict::Record);
}

#[test]
fn what_does_not_is_refused() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "x"}});
    let mut token = secret("health/an-credentials");
    token["type"] = "kubernetes.io/service-account-token".into();
    for object in [
        role,
        token,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "mail", "name": "p"}}),
        secret("kube-system/an-credentials"),
        secret("mail/theirs"),
        secret("mail/backup-password"),
        secret("health/../mail/cert"),
        object("MailSystem", "mail/another", &json!({})),
        object("MailDomain", "health/y", &json!({"domain": "y.vn", "system": {"name": "province"}})),
        object("Mailbox", "mail/an", &json!({"address": "an@x.vn"})),
        object("Mailbox", "health/an", &json!({"address": "an@another.vn"})),
        object("MailBackup", "mail/nightly", &json!({"system": {"name": "another"}})),
        json!([]),
        json!({}),
    ] {
        assert!(refused(&object), "{object}");
    }
}

#[test]
fn of_an_object_only_what_it_is_comes_along() {
    let mut mailbox = object("Mailbox", "health/an", &json!({"address": "an@x.vn"}));
    mailbox["status"] = json!({"shard": 7});
    mailbox["metadata"]["ownerReferences"] = json!([{"kind": "Pod"}]);
    mailbox["metadata"]["finalizers"] = json!(["x/y"]);
    mailbox["metadata"]["annotations"] =
        json!({"note": "kept", "mail.angiang.gov.vn/adopt": "an@x.vn", FORMER_ADDRESSES: "a@x.vn", "bad": 5});
    let Verdict::Make(_, made) = allowed().judge(&mailbox) else { panic!("refused") };
    let mut expected = object("Mailbox", "health/an", &json!({"address": "an@x.vn"}));
    expected["metadata"]["annotations"] = json!({"note": "kept", FORMER_ADDRESSES: "a@x.vn"});
    assert_eq!(made, expected);
}

#[test]
fn backups_do_not_begin_by_themselves() {
    let backup =
        object("MailBackup", "mail/nightly", &json!({"system": {"name": "province"}, "suspend": false}));
    let Verdict::Make(Kind::Backup, made) = allowed().judge(&backup) else { panic!("refused") };
    assert_eq!(made["spec"]["suspend"], true);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,30}", kind in 0..7_usize, field in 0..5_usize) {
        let mut object = object(Kind::ALL[kind].name(), "mail/province", &json!({}));
        object["apiVersion"] = Kind::ALL[kind].api_version().into();
        let path = ["spec", "metadata", "kind", "type", "apiVersion"][field];
        object[path] = text.into();
        let mut allowed = allowed();
        allowed.learn(&object);
        let _ = allowed.judge(&object);
    }
}
