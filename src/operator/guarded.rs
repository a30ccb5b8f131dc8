//! Objects that may not fit their types: a newer definition meets an older operator. Each is read by itself, so that one
//! that cannot be read is a matter of that object alone, and says which field it is.

use std::{borrow::Cow, fmt::Debug};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

/// An object, or what can be said of it.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, Unreadable>);

/// An object that does not fit its type.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The field that does not fit, such as `spec.state`.
    pub field: String,
    /// What is wrong with it.
    pub error: String,
    /// The conditions in its status, as far as they can be read.
    pub conditions: Vec<Condition>,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.error)
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let wrong = match serde_path_to_error::deserialize::<_, K>(&value) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(wrong) => wrong,
        };
        let metadata = value.get("metadata").cloned().unwrap_or_default();
        let conditions = value.pointer("/status/conditions").cloned().unwrap_or_default();
        Ok(Self(Err(Unreadable {
            metadata: serde_json::from_value(metadata).map_err(D::Error::custom)?,
            field: wrong.path().to_string(),
            error: wrong.into_inner().to_string(),
            conditions: serde_json::from_value(conditions).unwrap_or_default(),
        })))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Mailbox;
    use serde_json::json;

    fn read(state: &str) -> Guarded<Mailbox> {
        let condition = json!({"type": "Ready", "status": "True", "reason": "Served", "message": "", "lastTransitionTime": "2026-11-25T00:00:00Z"});
        let object = json!({
            "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "Mailbox", "metadata": {"name": "an", "uid": "u"},
            "spec": {"address": "an@x.vn", "state": state}, "status": {"conditions": [condition]},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn an_object_that_does_not_fit_names_the_field_and_keeps_its_identity() {
        assert_eq!(read("Suspended").0.unwrap().spec.address, "an@x.vn");
        let unreadable = read("OnLeave");
        assert_eq!(unreadable.meta().uid.as_deref(), Some("u"));
        let unreadable = unreadable.0.unwrap_err();
        assert!(unreadable.to_string().starts_with("spec.state: unknown variant `OnLeave`"), "{unreadable}");
        assert_eq!(unreadable.conditions[0].reason, "Served");
        serde_json::from_value::<Guarded<Mailbox>>(json!({"metadata": 5})).unwrap_err();
    }
}
