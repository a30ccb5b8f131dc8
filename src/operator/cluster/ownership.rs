//! Whose an object is that has a name which the operator needs. One that is not the operator's is never written over.
//!
//! The mark is two labels, and not the owner alone: what outlives its MailSystem has a former owner or none, and is to be
//! taken up again by a MailSystem of the same name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::names::{INSTANCE, MANAGED_BY, MANAGER, SystemName};

/// Whether the object is the operator's, for this MailSystem, which has the uid `uid`.
#[must_use]
pub fn is_ours(object: &ObjectMeta, system: &SystemName, uid: &str) -> bool {
    let owners = object.owner_references.iter().flatten();
    has_labels(object, [(MANAGED_BY, MANAGER), (INSTANCE, &system.name)])
        || (!uid.is_empty() && owners.into_iter().any(|owner| owner.uid == uid))
}

/// Whether a volume claim is one that a StatefulSet of this MailSystem made.
#[must_use]
pub fn is_our_claim(claim: &ObjectMeta, system: &SystemName) -> bool {
    has_labels(claim, [("app.kubernetes.io/name", MANAGER), (INSTANCE, &system.name)])
}

fn has_labels(object: &ObjectMeta, wanted: [(&str, &str); 2]) -> bool {
    let labels = object.labels.as_ref();
    wanted
        .iter()
        .all(|(name, value)| labels.and_then(|labels| labels.get(*name)).is_some_and(|it| it == value))
}

/// What is said of an object that is somebody else's.
#[must_use]
pub fn taken(kind: &str, name: &str, system: &SystemName) -> String {
    let mark = if kind == "PersistentVolumeClaim" {
        format!("app.kubernetes.io/name={MANAGER} {INSTANCE}={}", system.name)
    } else {
        format!("{MANAGED_BY}={MANAGER} {INSTANCE}={}", system.name)
    };
    format!(
        "{kind} {name} is there and not the operator's, so it is left alone. Delete or rename it, or the MailSystem; if it is to be taken over: kubectl -n {} label {} {name} {mark}",
        system.namespace,
        kind.to_lowercase(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(yaml: &str) -> ObjectMeta {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn what_was_made_for_a_former_system_of_the_name_is_ours_and_nothing_else_is() {
        let ours = |yaml: &str| is_ours(&meta(yaml), &SystemName::new("n", "web"), "u1");
        let labels = "labels: {app.kubernetes.io/managed-by: mail-operator, app.kubernetes.io/instance: web}";
        let owner = |uid| format!("ownerReferences: [{{apiVersion: v1, kind: K, name: web, uid: {uid}}}]");
        assert!(ours(&format!("{{{labels}}}")) && ours(&format!("{{{labels}, {}}}", owner("u0"))));
        assert!(ours(&format!("{{{}}}", owner("u1"))), "its labels were taken away");
        assert!(!ours("{}") && !ours(&format!("{{{}}}", owner("u0"))));
        assert!(!ours("{labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: web}}"));
        assert!(!ours(
            "{labels: {app.kubernetes.io/managed-by: mail-operator, app.kubernetes.io/instance: b}}"
        ));
        let claim = "{labels: {app.kubernetes.io/name: mail-operator, app.kubernetes.io/instance: web}}";
        assert!(is_our_claim(&meta(claim), &SystemName::new("n", "web")));
        assert!(!is_our_claim(&meta(claim), &SystemName::new("n", "b")) && !ours(claim));
    }
}
