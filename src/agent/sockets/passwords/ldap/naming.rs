//! Names, filters and result codes: what is sent to a directory service, and what its answers mean. Pure.

use ldap3::{LdapError, dn_escape, ldap_escape};
use serde::{Deserialize, Serialize};

use super::Answer;

/// Why a directory service cannot be asked, in one word.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection.
    Unreachable,
    /// No answer in time.
    Silent,
    /// No authority that is trusted has signed its certificate.
    CertificateNotTrusted,
    /// Its certificate is for another host, or expired.
    CertificateInvalid,
    /// It does not speak TLS, or not as it must.
    TlsFailed,
    /// It refuses the searcher's name or password.
    BindRefused,
    /// It does not have where the search is to begin.
    BaseNotFound,
    /// It does not let the searcher search.
    SearchRefused,
    /// Something in the configuration cannot be used.
    Unusable,
    /// It says that it cannot answer.
    Failing,
}

/// Why a directory service cannot be asked.
#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[error("{reason:?}: {message}")]
pub struct Trouble {
    /// In one word.
    pub reason: Reason,
    /// In a sentence without its full stop.
    pub message: String,
}

impl Trouble {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(super) fn silent() -> Self {
        Self::new(Reason::Silent, "no answer in time")
    }

    /// Of a result code (RFC 4511, 4.1.9) that is no answer. `text` is the server's.
    fn of_code(reason: Reason, code: u32, text: &str) -> Self {
        let text = text.trim_end_matches(['\0', '\n']).trim();
        Self::new(reason, format!("result {code}{}{text}", if text.is_empty() { "" } else { ": " }))
    }
}

impl From<LdapError> for Trouble {
    fn from(error: LdapError) -> Self {
        let reason = match &error {
            LdapError::Io { source } => of_io(source),
            LdapError::Rustls { source } => of_tls(source),
            LdapError::DNSName { .. } => Reason::CertificateInvalid,
            LdapError::Timeout { .. } => Reason::Silent,
            LdapError::FilterParsing | LdapError::UrlParsing { .. } | LdapError::UnknownScheme(_) => {
                Reason::Unusable
            }
            // StartTLS was refused: nothing else is asked before there is TLS.
            LdapError::LdapResult { .. } => Reason::TlsFailed,
            _ => Reason::Unreachable,
        };
        Self::new(reason, error.to_string())
    }
}

fn of_io(error: &std::io::Error) -> Reason {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or(Reason::Unreachable, of_tls)
}

fn of_tls(error: &rustls::Error) -> Reason {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            Reason::CertificateNotTrusted
        }
        // How a certificate that signed itself is refused where it is no authority.
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            Reason::CertificateNotTrusted
        }
        Error::InvalidCertificate(_) => Reason::CertificateInvalid,
        _ => Reason::TlsFailed,
    }
}

/// The filter for the person with this address: what is put in is escaped (RFC 4515, 3).
pub(super) fn filter(template: &str, address: &str) -> String {
    filled(template, address, |value| ldap_escape(value).into_owned())
}

/// The name in which the person with this address logs in. In a DN what is put in is escaped (RFC 4514, 2.4).
pub(super) fn name(template: &str, address: &str) -> String {
    if template.contains('=') {
        filled(template, address, |value| dn_escape(value).into_owned())
    } else {
        filled(template, address, str::to_owned)
    }
}

/// In one pass: what was put in is not looked at again.
fn filled(template: &str, address: &str, escape: impl Fn(&str) -> String) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let values = [("{address}", address), ("{local}", local), ("{domain}", domain)];
    let (mut text, mut rest) = (String::new(), template);
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let key = values.iter().find(|(key, _)| rest.starts_with(key));
        let (length, value) = key.map_or((1, "{".to_owned()), |(key, value)| (key.len(), escape(value)));
        text.push_str(&value);
        rest = &rest[length..];
    }
    text + rest
}

/// What the result of a bind in a person's name means.
pub(super) fn of_bind(code: u32, text: &str) -> Result<Answer, Trouble> {
    match code {
        0 => Ok(Answer::Right),
        // No such name: it was a template's, or the entry has just gone.
        32 => Ok(Answer::NotFound),
        // A wrong password; an entry without one (48); one that must not log in (19, 50, 53).
        19 | 48 | 49 | 50 | 53 => Ok(Answer::Wrong),
        34 => Err(Trouble::of_code(Reason::Unusable, code, text)),
        8 | 13 => Err(Trouble::of_code(Reason::TlsFailed, code, text)),
        _ => Err(Trouble::of_code(Reason::Failing, code, text)),
    }
}

/// Whether the searcher is in.
pub(super) fn of_searchers_bind(code: u32, text: &str) -> Result<(), Trouble> {
    match code {
        0 => Ok(()),
        19 | 32 | 34 | 48 | 49 | 50 | 53 => Err(Trouble::of_code(Reason::BindRefused, code, text)),
        8 | 13 => Err(Trouble::of_code(Reason::TlsFailed, code, text)),
        _ => Err(Trouble::of_code(Reason::Failing, code, text)),
    }
}

/// Whether what a search gave is all that there is; more than the two that were asked for (4) is as good as two.
pub(super) fn of_search(code: u32, text: &str) -> Result<(), Trouble> {
    match code {
        0 | 4 => Ok(()),
        32 | 34 => Err(Trouble::of_code(Reason::BaseNotFound, code, text)),
        // Active Directory says 1 to who is nobody.
        1 | 48 | 49 | 50 | 53 => Err(Trouble::of_code(Reason::SearchRefused, code, text)),
        _ => Err(Trouble::of_code(Reason::Failing, code, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_put_in_is_escaped_and_not_looked_at_again() {
        assert_eq!(filter("(&(mail={address})(uid={local}))", "an@x.vn"), "(&(mail=an@x.vn)(uid=an))");
        assert_eq!(filter("(uid={local})", "*)(uid=*@x.vn"), "(uid=\\2a\\29\\28uid=\\2a)");
        assert_eq!(filter("(uid={local})", "{domain}@x.vn"), "(uid={domain})");
        assert_eq!(filter("(a={b}{)", "an@x.vn"), "(a={b}{)");
        assert_eq!(name("uid={local},dc={domain}", "a,b=c+d@x.vn"), "uid=a\\2cb\\3dc\\2bd,dc=x.vn");
        assert_eq!(name("{address}", "a_b=c@x.vn"), "a_b=c@x.vn", "no DN");
    }

    #[test]
    fn only_what_a_server_says_of_the_password_is_an_answer() {
        assert_eq!(of_bind(0, ""), Ok(Answer::Right));
        assert_eq!(of_bind(49, "80090308: data 52e"), Ok(Answer::Wrong));
        assert_eq!(of_bind(32, ""), Ok(Answer::NotFound));
        for code in [1, 2, 3, 8, 10, 11, 13, 14, 51, 52, 80] {
            assert!(of_bind(code, "").is_err(), "{code}");
        }
        let busy = of_bind(51, "busy\n\0").unwrap_err();
        assert_eq!((busy.reason, busy.message.as_str()), (Reason::Failing, "result 51: busy"));
        assert_eq!(of_searchers_bind(49, "").unwrap_err().reason, Reason::BindRefused);
        assert_eq!(of_search(32, "").unwrap_err().reason, Reason::BaseNotFound);
        assert_eq!(of_search(50, "").unwrap_err().reason, Reason::SearchRefused);
    }

    proptest! {
        #[test]
        fn no_address_changes_the_filter_around_it(local in "\\PC{1,30}") {
            let filter = filter("(&(objectClass=person)(mail={address}))", &format!("{local}@x.vn"));
            prop_assert!(ldap3::parse_filter(&filter).is_ok(), "{}", filter);
            prop_assert_eq!(filter.matches(['(', ')']).count(), 6);
            prop_assert!(!filter.contains('*') && !filter.contains('\0'));
        }
    }
}
