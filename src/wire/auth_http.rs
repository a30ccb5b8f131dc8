//! What nginx's mail proxy asks and understands (`ngx_mail_auth_http_module`).
//!
//! The headers of its request come in, typed; the headers of the reply go out. It must not take a
//! digest for a password: methods other than `plain` are errors. HTTP itself is the caller's.

use super::secret::Secret;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Longest login or password, in bytes, before decoding.
pub const MAX_FIELD: usize = 8192;

/// The protocol that the client speaks with nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP submission.
    Smtp,
}

/// A log-in to be decided.
#[derive(Clone, Debug)]
pub struct Request {
    /// The login, decoded, not folded.
    pub user: Bytes,
    /// The password, decoded.
    pub password: Secret,
    /// What the client speaks.
    pub protocol: Protocol,
    /// Which attempt of this connection it is, from 1.
    pub login_attempt: u32,
    /// The client's address; none if it is no IP address.
    pub client_ip: Option<IpAddr>,
    /// Whether the client's connection is encrypted.
    pub tls: bool,
}

/// Why a request cannot be decided. nginx then tells the client of an internal error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// This header is missing.
    #[error("auth_http: no header {0}")]
    Missing(&'static str),
    /// This header has a value that nginx does not send, or one that is too long.
    #[error("auth_http: bad header {0}")]
    Bad(&'static str),
    /// `Auth-Method` is not `plain`: `Auth-Pass` is not the password.
    #[error("auth_http: only plain passwords can be checked")]
    Method,
}

impl Request {
    /// Reads the headers; `header` gives the raw value of one by its name.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse<'a>(header: impl Fn(&'static str) -> Option<&'a [u8]>) -> Result<Self, Error> {
        let required = |name| header(name).ok_or(Error::Missing(name));
        if required("Auth-Method")? != b"plain" {
            return Err(Error::Method);
        }
        let field = |name| unescape(required(name)?).ok_or(Error::Bad(name));
        let protocol = match required("Auth-Protocol")? {
            b"imap" => Protocol::Imap,
            b"pop3" => Protocol::Pop3,
            b"smtp" => Protocol::Smtp,
            _ => return Err(Error::Bad("Auth-Protocol")),
        };
        Ok(Self {
            user: field("Auth-User")?,
            password: Secret::new(field("Auth-Pass")?),
            protocol,
            login_attempt: number(required("Auth-Login-Attempt")?).ok_or(Error::Bad("Auth-Login-Attempt"))?,
            client_ip: std::str::from_utf8(required("Client-IP")?).ok().and_then(|text| text.parse().ok()),
            tls: header("Auth-SSL") == Some(b"on"),
        })
    }
}

/// The decision.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Connect the client to this server.
    Allow {
        /// Address and port: nginx looks up no names.
        server: SocketAddr,
        /// The login to use there, without CR and LF.
        user: Bytes,
        /// The password, or token, to use there, without CR and LF.
        password: Secret,
    },
    /// Refuse.
    Deny {
        /// What the client is told.
        message: Cow<'static, str>,
        /// Seconds after which it may try again on this connection; 0 closes it.
        wait: u16,
        /// For SMTP: reply code and enhanced code, such as `535 5.7.8` or `454 4.7.0`.
        error_code: Option<&'static str>,
    },
}

impl Reply {
    /// The headers, to be sent with status 200 and no body. The password is among them.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, Bytes)> {
        match self {
            Self::Allow { server, user, password } => vec![
                ("Auth-Status", Bytes::from_static(b"OK")),
                ("Auth-Server", server.ip().to_string().into()),
                ("Auth-Port", server.port().to_string().into()),
                ("Auth-User", user.clone()),
                ("Auth-Pass", Bytes::copy_from_slice(password.expose())),
            ],
            Self::Deny { message, wait, error_code } => {
                // `OK` and `WAIT` are words of the protocol; a message is never read as one of them.
                let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let message =
                    if matches!(message.trim(), "" | "OK" | "WAIT") { "Refused".to_owned() } else { message };
                let mut headers =
                    vec![("Auth-Status", message.into()), ("Auth-Wait", wait.to_string().into())];
                headers
                    .extend(error_code.map(|code| ("Auth-Error-Code", Bytes::from_static(code.as_bytes()))));
                headers
            }
        }
    }
}

/// nginx escapes space, `%` and control characters, and nothing else: `+` is a plus.
fn unescape(value: &[u8]) -> Option<Bytes> {
    if value.len() > MAX_FIELD {
        return None;
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            other => *other,
        });
    }
    Some(decoded.into())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NGINX: [(&str, &str); 7] = [
        ("Auth-Method", "plain"),
        ("Auth-User", "u1@dom.test"),
        ("Auth-Pass", "a%20b%25c+d"),
        ("Auth-Protocol", "imap"),
        ("Auth-Login-Attempt", "1"),
        ("Client-IP", "203.0.113.7"),
        ("Auth-SSL", "on"),
    ];

    fn parse(change: (&'static str, Option<&[u8]>)) -> Result<Request, Error> {
        Request::parse(|name| match change {
            (changed, value) if changed == name => value,
            _ => NGINX.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes()),
        })
    }

    #[test]
    fn what_nginx_sends_is_understood() {
        let request = parse(("", None)).unwrap();
        assert_eq!((request.user, request.password.expose()), ("u1@dom.test".into(), &b"a b%c+d"[..]));
        assert_eq!((request.protocol, request.login_attempt, request.tls), (Protocol::Imap, 1, true));
        assert_eq!(request.client_ip, "203.0.113.7".parse().ok());
    }

    #[test]
    fn what_nginx_does_not_send_is_an_error() {
        assert_eq!(parse(("Auth-Method", Some(b"cram-md5"))).unwrap_err(), Error::Method);
        assert_eq!(parse(("Auth-User", None)).unwrap_err(), Error::Missing("Auth-User"));
        for (name, value) in [
            ("Auth-Pass", "%2"),
            ("Auth-Pass", "%zz"),
            ("Auth-Protocol", "nntp"),
            ("Auth-Login-Attempt", "+1"),
        ] {
            assert_eq!(parse((name, Some(value.as_bytes()))).unwrap_err(), Error::Bad(name));
        }
        assert_eq!(parse(("Auth-Pass", Some(&[b'a'; MAX_FIELD + 1]))).unwrap_err(), Error::Bad("Auth-Pass"));
    }

    #[test]
    fn an_allowed_client_is_sent_to_an_address() {
        let reply = Reply::Allow {
            server: SocketAddr::from(([203, 0, 113, 9], 1143)),
            user: "u@d".into(),
            password: Secret::new("tok"),
        };
        let values = reply.headers().into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(values, ["OK", "203.0.113.9", "1143", "u@d", "tok"]);
    }

    #[test]
    fn a_refusal_is_never_read_as_consent() {
        let status = |message: &'static str| {
            Reply::Deny { message: message.into(), wait: 1, error_code: None }.headers()[0].1.clone()
        };
        assert_eq!(status("OK"), "Refused");
        assert_eq!(status(" OK"), "Refused");
        assert_eq!(status("no\r\nAuth-Status: OK"), "no  Auth-Status: OK");
        let full = Reply::Deny { message: "no".into(), wait: 3, error_code: Some("535 5.7.8") }.headers();
        assert_eq!(full[1..], [("Auth-Wait", "3".into()), ("Auth-Error-Code", "535 5.7.8".into())]);
    }

    proptest! {
        #[test]
        fn any_password_survives_nginx(password: Vec<u8>) {
            let escaped: Vec<u8> = password.iter().flat_map(|byte| match byte {
                0..=0x20 | b'%' => format!("%{byte:02X}").into_bytes(),
                other => vec![*other],
            }).collect();
            let request = parse(("Auth-Pass", Some(&escaped))).unwrap();
            prop_assert_eq!(request.password.expose(), &password[..]);
        }

        #[test]
        fn no_bytes_panic(value: Vec<u8>, index in 0..NGINX.len()) {
            let _ = parse((NGINX[index].0, Some(&value)));
        }
    }
}
