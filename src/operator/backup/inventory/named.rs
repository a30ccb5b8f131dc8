//! Which Secrets go along: those that the objects name, and those that the operator made once and could not make again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::{MANAGED_BY, MANAGER, PASSWORD_OF, SystemName};

/// Types that are made anew. A Secret of another type may be an order to somebody: the cluster puts a token into each of
/// type `kubernetes.io/service-account-token`.
const TYPES: [&str; 4] = [
    "Opaque",
    "kubernetes.io/tls",
    "kubernetes.io/basic-auth",
    crate::operator::desired::secrets::JOURNAL_KEY_TYPE,
];

/// The Secrets of one namespace that are named, each with the address of the mailbox whose password may be generated into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named(BTreeMap<String, Option<String>>);

impl Named {
    /// Adds those of a Mailbox.
    pub fn mailbox(&mut self, mailbox: &Value) {
        let spec = &mailbox["spec"];
        let (Some(name), Some(address)) = (mailbox["metadata"]["name"].as_str(), spec["address"].as_str())
        else {
            return;
        };
        let generated = || Some(address.to_owned());
        match spec["passwordSecret"]["name"].as_str() {
            Some(given) => drop(self.0.entry(given.to_owned()).or_default()),
            None => drop(self.0.insert(format!("{name}-credentials"), generated())),
        }
        for app in spec["appPasswords"].as_array().into_iter().flatten() {
            if let Some(secret) = app["secret"]["name"].as_str() {
                self.0.entry(secret.to_owned()).or_insert_with(generated);
            }
        }
    }

    /// Adds those of the MailSystem.
    pub fn system(&mut self, name: &SystemName, system: &Value) {
        let spec = &system["spec"];
        let mut named = vec![
            &spec["tls"]["secretName"],
            &spec["antivirus"]["signatureSecret"],
            &spec["journal"]["objectStorage"]["credentialsSecret"],
        ];
        for service in spec["authentication"]["ldap"].as_array().into_iter().flatten() {
            named.extend([&service["caSecret"], &service["bind"]["passwordSecret"]["name"]]);
        }
        let named = named.into_iter().filter_map(Value::as_str).map(str::to_owned);
        for secret in named.chain([name.dkim(), name.journal_key()]) {
            self.0.entry(secret).or_default();
        }
    }

    /// Leaves out those that open the repository: whoever reads them here has them.
    pub fn without(&mut self, openers: &BTreeSet<String>) {
        self.0.retain(|name, _| !openers.contains(name));
    }

    /// Whether this Secret, bare, goes along.
    #[must_use]
    pub fn has(&self, secret: &Value) -> bool {
        let type_ = secret["type"].as_str().unwrap_or("Opaque");
        TYPES.contains(&type_)
            && secret["metadata"]["name"].as_str().is_some_and(|name| self.0.contains_key(name))
    }

    /// Notes in a Secret whose password it is, if the operator generated that: its new Mailbox is to own it.
    pub fn note(&self, secret: &mut Value) {
        if secret["metadata"]["labels"][MANAGED_BY] != MANAGER {
            return;
        }
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(address) = self.0.get(name).and_then(Option::as_ref) {
            secret["metadata"]["annotations"][PASSWORD_OF] = address.as_str().into();
        }
    }
}

/// The Secrets that open the repository of a MailBackup.
pub fn openers(backup: &Value) -> impl Iterator<Item = String> {
    let spec = &backup["spec"];
    let named = [&spec["encryptionSecret"], &spec["repository"]["objectStorage"]["credentialsSecret"]];
    named.into_iter().filter_map(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(name: &str, type_: &str) -> Value {
        json!({"metadata": {"name": name}, "type": type_})
    }

    #[test]
    fn secrets_that_nobody_names_stay() {
        let mut named = Named::default();
        named.mailbox(&json!({"metadata": {"name": "an"}, "spec": {"address": "an@x.vn"}}));
        named.mailbox(&json!({
            "metadata": {"name": "binh"},
            "spec": {
                "address": "binh@x.vn", "passwordSecret": {"name": "binh-2027"},
                "appPasswords": [{"name": "phone", "secret": {"name": "binh-phone"}}],
            },
        }));
        let all = |named: &Named| named.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(all(&named), ["an-credentials", "binh-2027", "binh-phone"]);
        assert!(
            named.has(&secret("binh-2027", "Opaque")) && !named.has(&secret("binh-credentials", "Opaque"))
        );
        assert!(!named.has(&secret("binh-2027", "kubernetes.io/service-account-token")));

        let mut named = Named::default();
        let system = json!({"spec": {
            "tls": {"secretName": "cert"}, "journal": {"objectStorage": {"credentialsSecret": "s3"}},
            "authentication": {"ldap": [{"caSecret": "ca", "bind": {"passwordSecret": {"name": "searcher"}}}]},
        }});
        named.system(&SystemName::new("n", "mail"), &system);
        let backup = json!({"spec": {
            "encryptionSecret": "backup-password", "repository": {"objectStorage": {"credentialsSecret": "s3"}},
        }});
        let openers: BTreeSet<_> = openers(&backup).collect();
        assert_eq!(openers, ["backup-password", "s3"].map(str::to_owned).into());
        named.without(&openers);
        assert_eq!(all(&named), ["ca", "cert", "mail-dkim", "mail-journal-key", "searcher"]);
    }

    #[test]
    fn only_a_generated_password_is_to_be_owned() {
        let mut named = Named::default();
        named.mailbox(&json!({"metadata": {"name": "an"}, "spec": {"address": "an@x.vn"}}));
        let mut generated = secret("an-credentials", "Opaque");
        generated["metadata"]["labels"] = json!({MANAGED_BY: MANAGER});
        named.note(&mut generated);
        assert_eq!(generated["metadata"]["annotations"], json!({PASSWORD_OF: "an@x.vn"}));
        let mut given = secret("an-credentials", "Opaque");
        named.note(&mut given);
        assert_eq!(given, secret("an-credentials", "Opaque"));
    }
}
