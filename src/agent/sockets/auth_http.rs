//! nginx's questions: who a client is, and which store has the mailbox.
//!
//! Headers come in, headers go out ([`crate::wire::auth_http`]). The store gets a token in place of the password. A
//! failure of ours is never told as a wrong password, since mail clients then ask their user for another one.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::passwords::{Admission, Passwords, Service, Verdict};
use crate::{
    agent::{
        directory::Replica,
        gateway::router::{Stores, stores::LOGIN},
    },
    names::ports,
    wire::{
        auth_http::{Protocol, Reply, Request},
        secret::Secret,
    },
};

/// For the whole question: nginx gives it 20 s (`auth_http_timeout`), and then tells its client nothing of use.
const DEADLINE: Duration = Duration::from_secs(19);

/// What is needed to answer. Clones share it.
#[derive(Clone)]
pub struct AuthHttp {
    /// Checks the passwords.
    pub passwords: Passwords,
    /// Has the key of tokens.
    pub replica: Replica,
    /// Finds the stores.
    pub stores: Stores,
}

impl AuthHttp {
    /// The route `/auth`.
    pub fn routes(self) -> Router {
        Router::new().route("/auth", get(auth)).with_state(self)
    }

    /// The decision about a client.
    pub async fn answer(&self, request: &Request) -> Reply {
        let (service, port) = match request.protocol {
            Protocol::Imap => (Service::Imap, ports::CYRUS_IMAP),
            Protocol::Pop3 => (Service::Pop3, ports::CYRUS_POP3),
            // Submission goes to Postfix itself.
            Protocol::Smtp => return later(Protocol::Smtp),
        };
        if !request.tls {
            return Reply::Deny { message: "Encryption is required".into(), wait: 0, error_code: None };
        }
        let verdict =
            self.passwords.check(service, &request.user, &request.password, request.client_ip).await;
        let Admission { found, tag, .. } = match verdict {
            Verdict::Allowed(admission) => admission,
            Verdict::Denied => return denied(request.protocol),
            Verdict::Locked | Verdict::Unavailable => return later(request.protocol),
        };
        let Some(key) = self.replica.token_key() else {
            tracing::error!("the directory has no usable key of tokens");
            return later(request.protocol);
        };
        match self.stores.locate(found.entry.store, port, Instant::now() + LOGIN).await {
            Ok(server) => {
                let token = key.mint(&found.address, &tag, SystemTime::now());
                Reply::Allow { server, user: found.address.into(), password: Secret::new(token) }
            }
            Err(error) => {
                tracing::warn!(store = found.entry.store, %error, "a store cannot be found");
                later(request.protocol)
            }
        }
    }
}

async fn auth(State(state): State<AuthHttp>, headers: HeaderMap) -> Response {
    let request = match Request::parse(|name| headers.get(name).map(HeaderValue::as_bytes)) {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(%error, "a question of nginx was not understood");
            return StatusCode::BAD_REQUEST.into_response();
        }
    };
    let reply = timeout(DEADLINE, state.answer(&request)).await.unwrap_or_else(|_| later(request.protocol));
    let mut answer = HeaderMap::new();
    for (name, value) in reply.headers() {
        match HeaderValue::from_maybe_shared(value) {
            Ok(mut value) => {
                value.set_sensitive(name == "Auth-Pass");
                answer.insert(name, value);
            }
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
    (answer, Bytes::new()).into_response()
}

/// The codes in brackets are those of RFC 5530 and RFC 3206: they tell clients whether another password would help.
fn denied(protocol: Protocol) -> Reply {
    let message = match protocol {
        Protocol::Imap => "[AUTHENTICATIONFAILED] Invalid login or password",
        Protocol::Pop3 => "[AUTH] Invalid login or password",
        Protocol::Smtp => "Invalid login or password",
    };
    Reply::Deny { message: Cow::Borrowed(message), wait: 2, error_code: None }
}

fn later(protocol: Protocol) -> Reply {
    let message = match protocol {
        Protocol::Imap => "[UNAVAILABLE] Temporary failure, try again later",
        Protocol::Pop3 => "[SYS/TEMP] Temporary failure, try again later",
        Protocol::Smtp => "Temporary failure, try again later",
    };
    Reply::Deny { message: Cow::Borrowed(message), wait: 0, error_code: Some("454 4.7.0") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{
            directory::testing,
            gateway::router::stores::{choice::Times, testing as testing_stores},
            logins::Logins,
        },
        directory::Credential,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What nginx reads; the password as nginx escapes it.
    async fn ask(replica: Replica, stores: &str, user: &str, password: &str, more: &str) -> String {
        ask_with(replica, Stores::new(stores), user, password, more).await
    }

    async fn ask_with(replica: Replica, stores: Stores, user: &str, password: &str, more: &str) -> String {
        let logins = Logins::open(std::path::Path::new("/nowhere"));
        let state = AuthHttp { passwords: Passwords::new(replica.clone(), logins), replica, stores };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, state.routes()).await });
        let request = format!(
            "GET /auth HTTP/1.0\r\nHost: x\r\nAuth-Method: plain\r\nAuth-User: {user}\r\nAuth-Pass: {password}\r\n\
             Auth-Login-Attempt: 1\r\nClient-IP: 203.0.113.7\r\n{more}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer.to_ascii_lowercase()
    }

    const IMAP: &str = "Auth-Protocol: imap\r\nAuth-SSL: on";
    const RIGHT: &str = "hunter2%20and%20%2525";

    #[tokio::test]
    async fn a_client_is_sent_to_the_store_of_its_mailbox_with_a_token() {
        let replica = testing::replica();
        let answer = ask(replica.clone(), "127.0.0.{shard}", "An@X.vn", RIGHT, IMAP).await;
        for line in ["auth-status: ok", "auth-server: 127.0.0.0", "auth-port: 1143", "auth-user: an@x.vn"] {
            assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} in {answer}");
        }
        let token = answer.split("auth-pass: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let token = token.replace("t2.", "T2.");
        let tag = replica.token_key().unwrap().verify("an@x.vn", token.as_bytes(), SystemTime::now());
        let entry = replica.find("an@x.vn").unwrap().entry;
        assert_eq!(tag, entry.credential.as_ref().map(Credential::tag));
        let pop3 = "Auth-Protocol: pop3\r\nAuth-SSL: on";
        let answer = ask(replica, "127.0.0.{shard}", "an@x.vn", RIGHT, pop3).await;
        assert!(answer.contains("auth-port: 1110"), "{answer}");
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_as_such_and_costs_time() {
        let answer = ask(testing::replica(), "127.0.0.1", "an@x.vn", "wrong", IMAP).await;
        assert!(answer.contains("auth-status: [authenticationfailed] invalid login or password"), "{answer}");
        assert!(answer.contains("auth-wait: 2") && !answer.contains("auth-server"), "{answer}");
    }

    #[tokio::test]
    async fn failures_of_ours_are_temporary() {
        let lost = ask(testing::replica(), "store.invalid", "an@x.vn", RIGHT, IMAP).await;
        let empty = ask(testing::empty(), "127.0.0.1", "an@x.vn", RIGHT, IMAP).await;
        for answer in [lost, empty] {
            assert!(answer.contains("auth-status: [unavailable]"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_client_waits_for_a_primary_and_is_sent_to_the_one_that_comes() {
        let stores = testing_stores::pair(Times::USUAL);
        let (answer, ()) =
            tokio::join!(ask_with(testing::replica(), stores.clone(), "an@x.vn", RIGHT, IMAP), async {
                testing_stores::waited_for(&stores, 0).await;
                testing_stores::tell(&stores, (0, 1), (5, true), [127, 0, 0, 9]);
            });
        assert!(answer.contains("auth-status: ok") && answer.contains("auth-server: 127.0.0.9"), "{answer}");
    }

    #[tokio::test]
    async fn without_a_primary_the_failure_is_temporary_too() {
        let in_vain = Times { outage: Duration::ZERO, ..Times::USUAL };
        let stores = testing_stores::pair(in_vain);
        testing_stores::tell(&stores, (0, 0), (4, false), [127, 0, 0, 1]);
        let answer = ask_with(testing::replica(), stores, "an@x.vn", RIGHT, IMAP).await;
        assert!(answer.contains("auth-status: [unavailable]") && !answer.contains("auth-server"), "{answer}");
    }

    #[test]
    fn what_a_log_in_waits_for_a_store_leaves_time_for_the_rest() {
        assert!(LOGIN + Duration::from_secs(3) < DEADLINE && DEADLINE < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn no_password_is_taken_in_the_clear_and_no_question_guessed() {
        let clear = ask(testing::replica(), "127.0.0.1", "an@x.vn", RIGHT, "Auth-Protocol: imap").await;
        assert!(clear.contains("auth-status: encryption is required"), "{clear}");
        let odd = ask(testing::replica(), "127.0.0.1", "an@x.vn", RIGHT, "Auth-Protocol: nntp").await;
        assert!(odd.starts_with("http/1.0 400") || odd.starts_with("http/1.1 400"), "{odd}");
    }
}
