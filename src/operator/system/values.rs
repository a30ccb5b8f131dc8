//! Text that was checked: a value of these types has the form that its users rely on.

use std::fmt;

/// A host name in lower case, of at least two labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname(String);

impl Hostname {
    /// The host name in this text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = text.len() <= 253 && text.contains('.') && text.split('.').all(label);
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host`, `host:port` or `[host]:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayHost {
    text: String,
    port: u16,
}

impl RelayHost {
    /// The relay host in this text, if its port is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
            _ => (text, 25),
        };
        let inner = host.strip_prefix('[').map_or(Some(host), |rest| rest.strip_suffix(']'))?;
        let fits = !inner.is_empty()
            && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte))
            && (host.starts_with('[') || !inner.contains(':'));
        fits.then(|| Self { text: text.to_owned(), port })
    }

    /// As Postfix takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// The token by which Rspamd's verdicts are known: 64 hexadecimal digits. Debug output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token in this text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_owned()))
    }

    /// The token that these random bytes make.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(hex(&bytes))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Hexadecimal digits of these bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_hosts_are_taken_as_postfix_takes_them() {
        for (text, port) in
            [("relay.x.vn", 25), ("relay.x.vn:587", 587), ("[10.0.0.1]:26", 26), ("[2001:db8::1]", 25)]
        {
            assert_eq!(RelayHost::parse(text).map(|host| host.port()), Some(port), "{text}");
        }
        for text in ["", "x:0", "x:65536", "[x", "x y", "2001:db8::1", "a\nb"] {
            assert_eq!(RelayHost::parse(text), None, "{text}");
        }
    }

    #[test]
    fn host_names_have_labels_and_tokens_have_digits() {
        assert!(Hostname::parse("mail.angiang.gov.vn").is_some());
        for text in ["localhost", "Mail.x.vn", "-a.vn", "a..vn", "a.vn."] {
            assert!(Hostname::parse(text).is_none(), "{text}");
        }
        let token = Token::from_bytes([171; 32]);
        assert_eq!(Token::parse(token.as_str()), Some(token.clone()));
        assert!(Token::parse("abc").is_none() && !format!("{token:?}").contains("ab"));
    }
}
