//! What of an object goes along: what people wrote, so that it can be made anew elsewhere. Pure.
//!
//! Status, uids, owners, finalizers and times belong to the cluster. So do annotations of this project: they are orders to
//! the object that was, such as to purge it. What status alone knows of a mailbox and a new one cannot find out is written
//! into its spec, each time with an annotation that says so.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::kind::Kind;
use crate::{
    api::GROUP,
    names::{FORMER_ADDRESSES, SHARD_LABEL, WANTED_ADDRESS},
};

/// What `kubectl apply` writes: the object once more, with what was secret in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// A mailbox has no more aliases.
const ALIASES: usize = 64;

/// The object without what belongs to its cluster; none if it is about to go.
#[must_use]
pub fn bare(kind: Kind, object: &DynamicObject) -> Option<Value> {
    let metadata = &object.metadata;
    if metadata.deletion_timestamp.is_some() {
        return None;
    }
    let field = |name: &&str| Some(((*name).to_owned(), object.data.get(*name)?.clone()));
    let mut content: Map<String, Value> = kind.content().iter().filter_map(field).collect();
    let mut notes = metadata.annotations.clone().unwrap_or_default();
    notes.retain(|name, _| goes_along(name));
    if kind == Kind::Mailbox
        && let Some(spec) = content.get_mut("spec").and_then(Value::as_object_mut)
    {
        let status = object.data.get("status").unwrap_or(&Value::Null);
        forget_restore(spec, status);
        keep_address(spec, status, &mut notes);
        keep_former(spec, status, &mut notes);
        if let Some(shard) = status.get("shard").and_then(Value::as_u64) {
            notes.insert(SHARD_LABEL.to_owned(), shard.to_string());
        }
    }
    let labels = metadata.labels.clone().unwrap_or_default();
    let place = (metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    Some(assemble(kind, place, &labels, &notes, content))
}

/// An object of these parts and nothing else.
#[must_use]
pub fn assemble(
    kind: Kind,
    (namespace, name): (&str, &str),
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    content: Map<String, Value>,
) -> Value {
    let mut metadata = json!({"namespace": namespace, "name": name});
    for (field, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            metadata[field] = json!(values);
        }
    }
    let head = [
        ("apiVersion".to_owned(), kind.api_version().into()),
        ("kind".to_owned(), kind.name().into()),
        ("metadata".to_owned(), metadata),
    ];
    Value::Object(head.into_iter().chain(content).collect())
}

/// Whether an annotation of this name says something of the object wherever it is.
#[must_use]
pub fn goes_along(name: &str) -> bool {
    name != LAST_APPLIED && name.strip_prefix(GROUP).is_none_or(|rest| !rest.starts_with('/'))
}

/// A mailbox that took over retired mail would wait for that mail for ever: it has it, and the RetiredMailbox is gone.
fn forget_restore(spec: &mut Map<String, Value>, status: &Value) {
    let done = status.get("restoredFrom").filter(|name| name.is_string());
    if done.is_some() && spec.get("restoreFrom") == done {
        spec.remove("restoreFrom");
    }
}

/// A mailbox whose new address was refused has its mail under the one that it is served under.
fn keep_address(spec: &mut Map<String, Value>, status: &Value, notes: &mut BTreeMap<String, String>) {
    let (Some(served), Some(wanted)) =
        (status.get("address").and_then(Value::as_str), spec.get("address").and_then(Value::as_str))
    else {
        return;
    };
    if served != wanted {
        notes.insert(WANTED_ADDRESS.to_owned(), wanted.to_owned());
        let served = served.to_owned();
        if let Some(aliases) = spec.get_mut("aliases").and_then(Value::as_array_mut) {
            aliases.retain(|alias| *alias != *served);
        }
        spec.insert("address".to_owned(), served.into());
    }
}

/// Addresses that a mailbox had go on reaching it, and nobody else gets them.
fn keep_former(spec: &mut Map<String, Value>, status: &Value, notes: &mut BTreeMap<String, String>) {
    let address = spec.get("address").cloned().unwrap_or_default();
    let mut aliases = spec.get("aliases").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kept: Vec<&str> = Vec::new();
    for former in status.get("formerAddresses").and_then(Value::as_array).into_iter().flatten() {
        let Some(former) = former.get("address").and_then(Value::as_str) else { continue };
        if aliases.len() < ALIASES && address != *former && !aliases.contains(&former.into()) {
            aliases.push(former.into());
            kept.push(former);
        }
    }
    if !kept.is_empty() {
        notes.insert(FORMER_ADDRESSES.to_owned(), kept.join(","));
        spec.insert("aliases".to_owned(), aliases.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    fn metadata() -> Value {
        json!({
            "name": "an", "namespace": "so-y-te", "uid": "u1", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2026-11-25T00:00:00Z", "finalizers": ["x/y"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u0"}],
            "managedFields": [{"manager": "kubectl"}],
            "labels": {"unit": "van-thu"},
            "annotations": {
                "note": "kept", "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "mail.angiang.gov.vn/adopt": "an@x.vn", "mail.angiang.gov.vn.example/kept": "yes",
            },
        })
    }

    #[test]
    fn what_belongs_to_the_cluster_stays_there() {
        let mailbox = json!({
            "metadata": metadata(), "spec": {"address": "an@x.vn", "quota": "2Gi"},
            "status": {"address": "an@x.vn", "shard": 3},
        });
        let expected = json!({
            "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "Mailbox",
            "metadata": {
                "name": "an", "namespace": "so-y-te", "labels": {"unit": "van-thu"},
                "annotations": {"note": "kept", "mail.angiang.gov.vn.example/kept": "yes", SHARD_LABEL: "3"},
            },
            "spec": {"address": "an@x.vn", "quota": "2Gi"},
        });
        assert_eq!(bare(Kind::Mailbox, &object(mailbox)), Some(expected));
        let mut going = metadata();
        going["deletionTimestamp"] = "2026-11-25T00:00:00Z".into();
        assert_eq!(bare(Kind::Mailbox, &object(json!({"metadata": going, "spec": {}}))), None);
    }

    #[test]
    fn a_secret_is_its_data_and_type() {
        let secret = json!({
            "metadata": {"name": "s", "namespace": "n", "uid": "u"}, "type": "Opaque", "immutable": true,
            "data": {"password": "eA=="}, "spec": {"unknown": 1},
        });
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
            "type": "Opaque", "immutable": true, "data": {"password": "eA=="},
        });
        assert_eq!(bare(Kind::Secret, &object(secret)), Some(expected));
    }

    #[test]
    fn what_status_alone_knows_of_a_mailbox_is_written_into_its_spec() {
        let mailbox = json!({
            "metadata": {"name": "an", "namespace": "n"},
            "spec": {
                "address": "an.le@x.vn", "aliases": ["a@x.vn", "an.nguyen@x.vn"], "restoreFrom": "an-0d1c5b8e",
            },
            "status": {
                "address": "an.nguyen@x.vn", "restoredFrom": "an-0d1c5b8e",
                "formerAddresses": [{"address": "an.tran@x.vn"}, {"address": "a@x.vn"}, {"address": "an.nguyen@x.vn"}],
            },
        });
        let bare = bare(Kind::Mailbox, &object(mailbox)).unwrap();
        assert_eq!(bare["spec"], json!({"address": "an.nguyen@x.vn", "aliases": ["a@x.vn", "an.tran@x.vn"]}));
        let notes = json!({WANTED_ADDRESS: "an.le@x.vn", FORMER_ADDRESSES: "an.tran@x.vn"});
        assert_eq!(bare["metadata"]["annotations"], notes);
    }

    #[test]
    fn a_restore_that_is_not_done_is_still_asked_for() {
        let mailbox = json!({
            "metadata": {"name": "an", "namespace": "n"}, "spec": {"address": "an@x.vn", "restoreFrom": "an-1"},
            "status": {"restoredFrom": "an-0"},
        });
        assert_eq!(bare(Kind::Mailbox, &object(mailbox)).unwrap()["spec"]["restoreFrom"], "an-1");
    }
}
