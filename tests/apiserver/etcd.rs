//! What is stored behind the API server's back: objects that no definition would let in, as a newer one would have.

use axum::http::Request;
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::harness::TestApi;

/// Changes a custom resource of the test where it is stored.
pub async fn rewrite(api: &TestApi, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let key = format!("/registry/mail.angiang.gov.vn/{plural}/{}/{name}", api.namespace);
    let key = STANDARD.encode(key);
    let answer = ask(api, "range", json!({"key": key})).await;
    let bytes = STANDARD.decode(answer["kvs"][0]["value"].as_str().unwrap()).unwrap();
    let mut object: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut object);
    ask(api, "put", json!({"key": key, "value": STANDARD.encode(object.to_string())})).await;
}

async fn ask(api: &TestApi, what: &str, question: Value) -> Value {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", api.etcd())).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let body = Full::new(bytes::Bytes::from(question.to_string()));
    let request = Request::post(format!("/v3/kv/{what}")).header("host", "etcd").body(body).unwrap();
    let exchange = async {
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        serde_json::from_slice(&bytes).unwrap()
    };
    tokio::join!(exchange, connection).0
}
