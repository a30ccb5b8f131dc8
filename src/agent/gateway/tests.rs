//! The whole agent on real sockets, without a cluster.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::sleep,
};

use super::*;
use crate::{
    agent::{directory::testing, settings::Common},
    api::system::{OnDetection, OnFailure},
};

const PATIENCE: Duration = Duration::from_mins(1);

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings(folder: &Path) -> GatewaySettings {
    fs::write(folder.join("token"), "ab12\n").unwrap();
    for name in ["run", "tls"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    GatewaySettings {
        common: Common {
            pod_name: "s-gateway-0".into(),
            pod_namespace: "n".into(),
            mail_system: "s".into(),
            mail_hostname: "mail.x.vn".into(),
            http_address: free(),
        },
        store_host_pattern: "store-{shard}-{pod}.invalid".into(),
        store_shards: 1,
        store_replicas: 1,
        clamd_host: "clamd.invalid".into(),
        cache_address: "cache.invalid:6379".into(),
        antivirus_on_failure: OnFailure::Defer,
        antivirus_on_detection: OnDetection::Reject,
        token_file: folder.join("token"),
        tls_dir: folder.join("tls"),
        run_dir: folder.join("run"),
        data_dir: folder.join("data"),
        journal: None,
        auth_address: free(),
        sieve_address: free(),
    }
}

/// Sends and reads until `enough` bytes are there.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, question: &str, enough: usize) -> String {
    stream.write_all(question.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while answer.len() < enough && stream.read_buf(&mut answer).await.unwrap() > 0 {}
    String::from_utf8(answer).unwrap()
}

async fn http(address: SocketAddr, path: &str) -> Option<String> {
    let stream = TcpStream::connect(address).await.ok()?;
    Some(ask(stream, &format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n"), usize::MAX).await)
}

async fn until_readiness_is(address: SocketAddr, wanted: &str, agent: &JoinHandle<Result<(), Error>>) {
    let waiting = async {
        while !http(address, "/readyz").await.is_some_and(|answer| answer.contains(wanted)) {
            assert!(!agent.is_finished(), "the agent ended");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn the_agent_serves_every_socket_tells_its_state_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (address, run_dir) = (settings.common.http_address, settings.run_dir.clone());
    let sieve_address = settings.sieve_address;
    let (replica, shutdown) = (testing::empty(), CancellationToken::new());
    let agent = tokio::spawn(run(settings, replica.clone(), shutdown.clone()));
    until_readiness_is(address, "503", &agent).await;
    assert!(http(address, "/readyz").await.unwrap().contains("domains: no directory yet"));
    let map = UnixStream::connect(run_dir.join("map")).await.unwrap();
    assert!(ask(map, "15:mailbox an@x.vn,", 8).await.contains("TEMP"));

    testing::fill(&replica);
    until_readiness_is(address, "200", &agent).await;
    assert_eq!(fs::read_to_string(run_dir.join("domains")).unwrap(), "x.vn OK\n");
    let map = UnixStream::connect(run_dir.join("map")).await.unwrap();
    assert_eq!(ask(map, "15:mailbox an@x.vn,", 14).await, "10:OK an@x.vn,");
    let lmtp = UnixStream::connect(run_dir.join("lmtp")).await.unwrap();
    assert!(ask(lmtp, "", 3).await.starts_with("220 mail.x.vn"));
    for name in ["map", "sasl", "policy", "gate", "lmtp"] {
        assert_eq!(fs::metadata(run_dir.join(name)).unwrap().permissions().mode() & 0o777, 0o666);
    }
    let sieve = TcpStream::connect(sieve_address).await.unwrap();
    let said = ask(sieve, "AUTHENTICATE \"PLAIN\" \"AGFuQHgudm4AcHc=\"\r\nLOGOUT\r\n", usize::MAX).await;
    assert!(
        said.contains("\"SASL\" \"\"\r\n") && said.contains("\"STARTTLS\"\r\nOK\r\nNO (ENCRYPT-NEEDED)"),
        "{said}"
    );
    let status = http(address, "/status").await.unwrap();
    assert!(status.ends_with(r#"{"bulk":{},"directory":{"s-directory":1,"s-directory-1-0":1}}"#), "{status}");
    let logins = http(address, "/logins?since=0").await.unwrap();
    assert!(
        logins.contains(r#""next":0,"more":false,"began":"#) && logins.ends_with(r#""logins":[]}"#),
        "{logins}"
    );
    let metrics = http(address, "/metrics").await.unwrap();
    for metric in ["mail_directory_mailboxes 3", "mail_socketmap_lookups_total{answer=\"Found\"} 1"] {
        assert!(metrics.contains(metric), "{metric} in {metrics}");
    }

    shutdown.cancel();
    timeout(PATIENCE, agent).await.unwrap().unwrap().unwrap();
    assert!(UnixStream::connect(run_dir.join("map")).await.is_err());
}

#[tokio::test]
async fn of_two_stores_for_each_shard_it_tells_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let settings = GatewaySettings { store_replicas: 2, store_shards: 2, ..settings(folder.path()) };
    let (address, shutdown) = (settings.common.http_address, CancellationToken::new());
    let agent = tokio::spawn(run(settings, testing::replica(), shutdown.clone()));
    until_readiness_is(address, "200", &agent).await;
    let status = http(address, "/status").await.unwrap();
    let stores =
        r#""stores":[{"pod":0,"shard":0},{"pod":1,"shard":0},{"pod":0,"shard":1},{"pod":1,"shard":1}]"#;
    assert!(status.contains(stores), "{status}");
    let metrics = http(address, "/metrics").await.unwrap();
    assert!(metrics.contains(r#"mail_router_store_primary{shard="1",pod="0"} 0"#), "{metrics}");
    shutdown.cancel();
    timeout(PATIENCE, agent).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn without_a_token_of_verdicts_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    fs::write(&settings.token_file, " \n").unwrap();
    let ended = run(settings, testing::empty(), CancellationToken::new()).await;
    assert!(matches!(ended, Err(Error::NoToken)), "{ended:?}");
}
