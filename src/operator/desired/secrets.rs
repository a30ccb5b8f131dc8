//! The Secrets that pods mount: the served pair, the installation's token and the stores' log-in. Pure.

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::pod;
use crate::{operator::system::validated::Validated, store_login};

/// Type of the Secret with the token, by which it is watched.
pub const INTERNAL_TYPE: &str = "mail.angiang.gov.vn/internal";
/// Type of the Secret with the key of the journal.
pub const JOURNAL_KEY_TYPE: &str = "mail.angiang.gov.vn/journal-key";
/// Its key with the private key, as `age --identity` reads it.
pub const JOURNAL_IDENTITY: &str = "identity";
/// Its key with the public key.
pub const JOURNAL_RECIPIENT: &str = "recipient";
/// Key of the token.
pub const TOKEN: &str = "token";

/// The pair that is served.
#[must_use]
pub fn tls(v: &Validated) -> Secret {
    let data = [("tls.crt", &v.pair.certificate), ("tls.key", &v.pair.key)];
    Secret {
        metadata: pod::meta(v, v.name.tls(), None),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.clone()))).into()),
        ..Secret::default()
    }
}

/// The stores' log-in at the gateways, as Cyrus reads it, and the key by which they know each other.
#[must_use]
pub fn gateway_login(v: &Validated) -> Secret {
    let password = store_login::password(v.token.as_str());
    let text = format!("smtp_auth_authname: {}\nsmtp_auth_password: {password}\n", store_login::LOGIN);
    let data = [("smtp.conf", text), ("peer-key", store_login::peer_key(v.token.as_str()))];
    Secret {
        metadata: pod::meta(v, v.name.gateway_login(), None),
        type_: Some("Opaque".to_owned()),
        data: Some(data.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).into()),
        ..Secret::default()
    }
}

/// The token, if it has yet to be written.
#[must_use]
pub fn internal(v: &Validated) -> Option<Secret> {
    let data = [(TOKEN.to_owned(), ByteString(v.token.as_str().as_bytes().to_owned()))];
    (!v.token_exists).then(|| Secret {
        metadata: pod::meta(v, v.name.internal(), None),
        type_: Some(INTERNAL_TYPE.to_owned()),
        data: Some(data.into()),
        ..Secret::default()
    })
}
