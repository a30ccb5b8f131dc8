//! Secrets with generated passwords that came back from a backup: they are nobody's until the Mailbox is there that has their
//! address, and are never taken for somebody else's.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    cluster,
    credentials::{Found, examine},
    index::Ask,
};
use crate::names::{MANAGED_BY, MANAGER, PASSWORD_OF};

/// Whether the Secret was generated for the mailbox of this address, came back from a backup, and is nobody's yet.
pub fn came_back(secret: &Secret, ask: &Ask) -> bool {
    secret.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER)
        && secret.owner_references().is_empty()
        && secret.annotations().get(PASSWORD_OF).is_some_and(|address| **address == *ask.address)
}

/// Makes the Mailbox the owner of a Secret that came back, so that it goes with it as any other.
///
/// # Errors
/// The API's, also when the Secret was changed meanwhile.
pub async fn own(api: &Api<Secret>, secret: &Secret, ask: &Ask) -> Result<Found, kube::Error> {
    let patch = json!({"metadata": {
        "resourceVersion": secret.metadata.resource_version,
        "ownerReferences": [cluster::owner("Mailbox", &ask.mailbox.name, &ask.uid)],
        "annotations": {PASSWORD_OF: Value::Null},
    }});
    let owned = api.patch(&secret.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(examine(&owned, ask))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::operator::mailbox::index::{LoginProblem, ObjectName, SecretRef, Which};

    fn ask(which: Which, address: &str) -> Ask {
        let secret = (which != Which::Main).then(|| SecretRef { name: "s".into(), key: "password".into() });
        let mailbox = ObjectName::new("n", "an").into();
        Ask { mailbox, which, make: false, uid: "u2".into(), address: address.into(), secret }
    }

    #[test]
    fn a_password_that_came_back_is_that_of_the_mailbox_with_its_address() {
        let mut back = Secret::default();
        back.metadata.labels = Some(BTreeMap::from([(MANAGED_BY.to_owned(), MANAGER.to_owned())]));
        back.metadata.annotations = Some(BTreeMap::from([(PASSWORD_OF.to_owned(), "an@x.vn".to_owned())]));
        let main = |address: &str| ask(Which::Main, address);
        let app = |address: &str| ask(Which::App("phone".into()), address);
        assert!(came_back(&back, &main("an@x.vn")) && !came_back(&back, &main("binh@x.vn")));
        assert_eq!(examine(&back, &main("an@x.vn")), Found::Stale, "it is owned first");
        assert_eq!(examine(&back, &app("an@x.vn")), Found::Stale);
        assert_eq!(examine(&back, &app("binh@x.vn")), Found::Problem(LoginProblem::Conflict));
        back.metadata.labels = None;
        assert!(!came_back(&back, &main("an@x.vn")), "it is a given one");
    }
}
