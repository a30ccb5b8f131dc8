//! Passwords and the Secrets that hold them: a given Secret is examined, a missing one is generated. Input is an
//! [`Ask`]; output is what was found. A Secret that is not the operator's is never written.

use std::{collections::BTreeMap, time::Duration};

use backon::Retryable;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PostParams},
};

use super::{
    came_back::{came_back, own},
    cluster::{self, endless_tries, is_code, transient},
    index::{Ask, LoginProblem, Which},
    password,
    status::generated_secret,
};
use crate::{
    directory::Credential,
    names::{MANAGER, PASSWORD_OF},
    operator::cluster::is_terminating,
};

/// Label that marks a generated Secret.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Key of the password in a generated Secret.
const PASSWORD: &str = "password";

/// What stands behind the password of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A password to hash, unless one of this source was hashed already.
    Password {
        /// The password.
        password: String,
        /// Names the version of the Secret.
        source: String,
        /// Whether the Secret is a generated one.
        generated: bool,
    },
    /// A password was generated, and hashed at once.
    Generated(Credential),
    /// Nobody can log in.
    Problem(LoginProblem),
    /// The generated Secret is that of a former Mailbox of this name, and is about to be collected; or the namespace is.
    Stale,
}

/// What `secret` is to the mailbox. Pure.
#[must_use]
pub fn examine(secret: &Secret, ask: &Ask) -> Found {
    let key = match &ask.secret {
        Some(reference) => &*reference.key,
        None => PASSWORD,
    };
    if ask.secret.is_none() {
        if secret.labels().get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
            return Found::Problem(LoginProblem::Conflict);
        }
        if secret.owner_references().iter().all(|owner| *owner.uid != *ask.uid) {
            return Found::Stale;
        }
    }
    if let Some(found) =
        ask.secret.as_ref().filter(|_| ask.which != Which::Main).and_then(|_| foreign(secret, ask))
    {
        return found;
    }
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Found::Problem(LoginProblem::KeyMissing);
    };
    // A newline at the end is what `kubectl create secret --from-file` and editors leave.
    let text =
        std::str::from_utf8(&value.0).map(|text| text.trim_end_matches(['\r', '\n'])).unwrap_or_default();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Found::Problem(LoginProblem::Empty);
    }
    Found::Password {
        password: text.to_owned(),
        source: source(secret, key),
        generated: secret.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER),
    }
}

/// A Secret that was generated for the app password of somebody else opens nothing: not a predecessor's, which is about to
/// be collected, and not another mailbox's.
fn foreign(secret: &Secret, ask: &Ask) -> Option<Found> {
    let owners = secret.owner_references();
    let generated = secret.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER);
    if generated && owners.is_empty() && secret.annotations().contains_key(PASSWORD_OF) {
        let own = came_back(secret, ask);
        return Some(if own { Found::Stale } else { Found::Problem(LoginProblem::Conflict) });
    }
    if !generated || owners.is_empty() || owners.iter().any(|owner| *owner.uid == *ask.uid) {
        return None;
    }
    let former = owners.iter().any(|owner| *owner.name == *ask.mailbox.name);
    Some(if former { Found::Stale } else { Found::Problem(LoginProblem::Conflict) })
}

/// Looks the Secret up, or generates it. Tries until the API server gives an answer.
pub async fn find(client: Client, ask: Ask) -> Found {
    let api: Api<Secret> = Api::namespaced(client, &ask.mailbox.namespace);
    let attempt = || async {
        match &ask.secret {
            Some(reference) => Ok(match api.get_opt(&reference.name).await? {
                Some(secret) if came_back(&secret, &ask) => own(&api, &secret, &ask).await?,
                Some(secret) => match examine(&secret, &ask) {
                    Found::Stale if ask.make => generate(&api, &ask, &reference.name, &reference.key).await?,
                    found => found,
                },
                None if ask.make => generate(&api, &ask, &reference.name, &reference.key).await?,
                None => Found::Problem(LoginProblem::NotFound),
            }),
            None => generate(&api, &ask, &generated_secret(&ask.mailbox.name), PASSWORD).await,
        }
    };
    let found = attempt.retry(endless_tries()).when(transient).await;
    found.unwrap_or_else(|error| match error {
        error if is_terminating(&error) => Found::Stale,
        error => refused(&error.to_string()),
    })
}

/// Creates the Secret if it is absent, else examines it; waits half a minute for a former one to be collected.
async fn generate(api: &Api<Secret>, ask: &Ask, name: &str, key: &str) -> Result<Found, kube::Error> {
    let salt = password::salt(&ask.uid);
    let attempt = || async {
        let Ok(password) = password::generate() else { return Ok(Some(refused("no random bytes"))) };
        let found = match api.create(&PostParams::default(), &generated((name, key), ask, &password)).await {
            Ok(secret) => match password::credential(&password, true, &salt, source(&secret, key)) {
                Ok(credential) => Found::Generated(credential),
                Err(error) => refused(&error.to_string()),
            },
            Err(error) if is_code(&error, 409) => match api.get_opt(name).await? {
                Some(secret) if came_back(&secret, ask) => own(api, &secret, ask).await?,
                Some(secret) => examine(&secret, ask),
                None => Found::Stale,
            },
            Err(error) => return Err(error),
        };
        Ok((found != Found::Stale).then_some(found))
    };
    for _ in 0..60 {
        if let Some(found) = attempt().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(refused("it belongs to a former Mailbox of the same name and was not collected"))
}

fn refused(words: &str) -> Found {
    Found::Problem(LoginProblem::Refused(words.into()))
}

fn source(secret: &Secret, key: &str) -> String {
    password::source(&secret.uid().unwrap_or_default(), &secret.resource_version().unwrap_or_default(), key)
}

fn generated((name, key): (&str, &str), ask: &Ask, password: &str) -> Secret {
    let data = [("address", &*ask.address), (key, password)];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(MANAGED_BY.to_owned(), MANAGER.to_owned())])),
            owner_references: Some(vec![cluster::owner("Mailbox", &ask.mailbox.name, &ask.uid)]),
            ..ObjectMeta::default()
        },
        string_data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::{ObjectName, SecretRef};
    use k8s_openapi::ByteString;

    fn ask(secret: Option<&str>) -> Ask {
        Ask {
            mailbox: ObjectName::new("n", "an").into(),
            which: Which::Main,
            make: false,
            uid: "u1".into(),
            address: "an@x.vn".into(),
            secret: secret.map(|key| SecretRef { name: "s".into(), key: key.into() }),
        }
    }

    fn secret(password: &[u8]) -> Secret {
        let mut secret = generated(("an-credentials", PASSWORD), &ask(None), "");
        secret.data = Some(BTreeMap::from([("password".to_owned(), ByteString(password.to_vec()))]));
        secret
    }

    #[test]
    fn a_final_newline_does_not_belong_to_the_password() {
        let Found::Password { password, generated, .. } = examine(&secret(b"abc\n"), &ask(Some("password")))
        else {
            panic!("no password");
        };
        assert_eq!((password.as_str(), generated), ("abc", true));
        let mut given = secret(b"abc\n");
        given.metadata.labels = None;
        let found = examine(&given, &ask(Some("password")));
        assert!(matches!(found, Found::Password { generated: false, .. }), "{found:?}");
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_apart() {
        assert_eq!(examine(&secret(b"x"), &ask(Some("pin"))), Found::Problem(LoginProblem::KeyMissing));
        for bad in [&b""[..], b"\n", b"a\0b", b"\xff"] {
            assert_eq!(examine(&secret(bad), &ask(Some("password"))), Found::Problem(LoginProblem::Empty));
        }
        let mut foreign = secret(b"x");
        foreign.metadata.labels = None;
        assert_eq!(examine(&foreign, &ask(None)), Found::Problem(LoginProblem::Conflict));
        let former = Ask { uid: "u2".into(), ..ask(None) };
        assert_eq!(examine(&secret(b"x"), &former), Found::Stale);
    }

    #[test]
    fn an_app_password_generated_for_somebody_else_opens_nothing() {
        let app = |uid: &str, name: &str| Ask {
            which: Which::App("phone".into()),
            uid: uid.into(),
            mailbox: ObjectName::new("n", name).into(),
            ..ask(Some("password"))
        };
        assert!(matches!(examine(&secret(b"x"), &app("u1", "an")), Found::Password { .. }));
        assert_eq!(examine(&secret(b"x"), &app("u2", "an")), Found::Stale);
        assert_eq!(examine(&secret(b"x"), &app("u2", "binh")), Found::Problem(LoginProblem::Conflict));
        let mut given = secret(b"x");
        given.metadata.labels = None;
        assert!(matches!(examine(&given, &app("u2", "binh")), Found::Password { .. }));
    }
}
