//! Certificates: what is served, and what status says of it.

use std::time::Duration;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    harness::{self, TestApi},
    operator::{Running, apply, condition, eventually, storage_class},
};

/// Writes a pair for `name` into the Secret `user`; returns the certificate.
async fn pair(api: &TestApi, name: &str) -> ByteString {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()},
    });
    secrets(api).patch("user", &PatchParams::apply("user").force(), &Patch::Apply(body)).await.unwrap();
    ByteString(certificate.into_bytes())
}

fn secrets(api: &TestApi) -> Api<Secret> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn served(api: &TestApi) -> ByteString {
    secrets(api).get("demo-tls").await.unwrap().data.unwrap()["tls.crt"].clone()
}

#[tokio::test]
async fn a_good_certificate_is_served_at_once_and_a_bad_one_never() {
    let api = harness::api("tls").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "CertificateValid", "SelfSigned").await;
    let self_signed = served(&api).await;

    apply(&api, json!({"hostname": "mail.x.vn", "tls": {"secretName": "user"}})).await;
    let (found, _) = condition(&api, "CertificateValid", "SecretMissing").await;
    assert!(found.message.contains("create Secret user"), "{}", found.message);
    condition(&api, "Ready", "SecretMissing").await;
    assert_eq!(served(&api).await, self_signed);

    pair(&api, "other.vn").await;
    condition(&api, "CertificateValid", "HostnameMismatch").await;
    assert_eq!(served(&api).await, self_signed);

    let good = pair(&api, "mail.x.vn").await;
    let (found, took) = condition(&api, "CertificateValid", "Valid").await;
    assert_eq!(found.status, "True");
    assert!(took < Duration::from_secs(5), "took {took:?}");
    assert_eq!(served(&api).await, good);

    secrets(&api).delete("user", &DeleteParams::default()).await.unwrap();
    condition(&api, "CertificateValid", "SecretMissing").await;
    assert_eq!(served(&api).await, good);

    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "CertificateValid", "SelfSigned").await;
    eventually(async || served(&api).await, |now| *now != good).await;
    operator.stop().await;
}
