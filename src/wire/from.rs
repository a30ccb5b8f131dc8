//! The addresses of a `From` or `Sender` header field (RFC 5322, 3.6.2), read strictly.
//!
//! The raw value comes in, its addresses go out as they are written, or nothing: what mail programs might read in two
//! ways has no addresses here. It must not decode or repair: an encoded word is part of a name or it is an error.

/// Most comments within one another.
const DEEPEST: u32 = 8;

/// Why a value has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not what RFC 5322 calls a list of mailboxes; or a group, a route, a domain literal, text that is not UTF-8.
    #[error("the addresses cannot be read")]
    Syntax,
    /// Nothing but space and comments.
    #[error("there is no address")]
    Empty,
}

/// The addresses of the value, in their order: `local@domain`, quotes of the local part included.
///
/// # Errors
/// The value is not a list of at least one address.
pub fn addresses(value: &[u8]) -> Result<Vec<&str>, Error> {
    let text = std::str::from_utf8(value).map_err(|_| Error::Syntax)?;
    let mut reader = Reader { text, at: 0 };
    reader.space()?;
    if reader.peek().is_none() {
        return Err(Error::Empty);
    }
    let mut found = Vec::new();
    loop {
        found.push(reader.mailbox()?);
        match reader.peek() {
            None => return Ok(found),
            Some(b',') => reader.at += 1,
            Some(_) => return Err(Error::Syntax),
        }
        reader.space()?;
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> Result<(), Error> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(Error::Syntax)
    }

    /// One address with or without a name, and the space behind it.
    fn mailbox(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        let mut words = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b'<' => {
                    self.at += 1;
                    let address = self.address()?;
                    self.take(b'>')?;
                    self.space()?;
                    return Ok(address);
                }
                b'@' if words == 1 => {
                    self.at = start;
                    let address = self.address()?;
                    self.space()?;
                    return Ok(address);
                }
                b'"' => self.quoted()?,
                _ => self.atoms()?,
            }
            words += 1;
            self.space()?;
        }
        Err(Error::Syntax)
    }

    /// `local@domain` without any space.
    fn address(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.quoted()?,
            _ => self.dot_atom(is_atom)?,
        }
        self.take(b'@')?;
        self.dot_atom(|byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
        Ok(&self.text[start..self.at])
    }

    fn dot_atom(&mut self, allowed: fn(u8) -> bool) -> Result<(), Error> {
        loop {
            let start = self.at;
            while self.peek().is_some_and(allowed) {
                self.at += 1;
            }
            if self.at == start {
                return Err(Error::Syntax);
            }
            if self.peek() != Some(b'.') {
                return Ok(());
            }
            self.at += 1;
        }
    }

    /// Part of a name: atoms with dots between them, since many programs write `Nguyen V. An` without quotes.
    fn atoms(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|byte| is_atom(byte) || byte == b'.' || !byte.is_ascii()) {
            self.at += 1;
        }
        if self.at == start { Err(Error::Syntax) } else { Ok(()) }
    }

    fn quoted(&mut self) -> Result<(), Error> {
        self.take(b'"')?;
        loop {
            match self.peek().ok_or(Error::Syntax)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escaped()?,
                b'\n' => self.fold()?,
                byte => self.plain(byte)?,
            }
        }
    }

    /// Space, folds and comments.
    fn space(&mut self) -> Result<(), Error> {
        let mut depth = 0_u32;
        while let Some(byte) = self.peek() {
            match (byte, depth) {
                (b'(', 0..DEEPEST) => {
                    depth += 1;
                    self.at += 1;
                }
                (b')', 1..) => {
                    depth -= 1;
                    self.at += 1;
                }
                (b'\n', _) => self.fold()?,
                (b' ' | b'\t', _) => self.at += 1,
                (_, 0) => return Ok(()),
                (b'(', _) => return Err(Error::Syntax),
                (b'\\', _) => self.escaped()?,
                (byte, _) => self.plain(byte)?,
            }
        }
        if depth == 0 { Ok(()) } else { Err(Error::Syntax) }
    }

    fn escaped(&mut self) -> Result<(), Error> {
        self.at += 1;
        let byte = self.peek().ok_or(Error::Syntax)?;
        self.plain(byte)
    }

    fn plain(&mut self, byte: u8) -> Result<(), Error> {
        if byte.is_ascii_control() && byte != b'\t' {
            return Err(Error::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// A line feed and the space that makes it a fold.
    fn fold(&mut self) -> Result<(), Error> {
        self.at += 1;
        match self.peek() {
            None | Some(b' ' | b'\t') => Ok(()),
            Some(_) => Err(Error::Syntax),
        }
    }
}

/// `atext` of RFC 5322, 3.2.3.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_with_and_without_names() {
        for (value, expected) in [
            (" an@x.vn", vec!["an@x.vn"]),
            (" <an@x.vn>", vec!["an@x.vn"]),
            (" Nguyễn Văn An <an@x.vn>", vec!["an@x.vn"]),
            (" =?UTF-8?B?Tmd1eeG7hW4=?=\n\t=?UTF-8?Q?_V=C4=83n_An?= <an@x.vn>", vec!["an@x.vn"]),
            (" \"An, \\\"V. P.\\\" <chi@x.vn>\" <An@X.vn> (a (b) \\) c)", vec!["An@X.vn"]),
            (" an@x.vn (An), \"b i\"@y.vn ,\n An V. <c.d@z.vn>", vec!["an@x.vn", "\"b i\"@y.vn", "c.d@z.vn"]),
        ] {
            assert_eq!(addresses(value.as_bytes()), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for value in [
            "an@x.vn <binh@x.vn>",
            "<an@x.vn> <binh@x.vn>",
            "<an@x.vn> binh",
            "an@x.vn binh@x.vn",
            "an@x.vn,",
            ", an@x.vn",
            "group: an@x.vn;",
            "group:;",
            "<@y.vn:an@x.vn>",
            "<>",
            "An",
            "<an>",
            "an @x.vn",
            "an@ x.vn",
            "< an@x.vn>",
            "an@[10.0.0.1]",
            "an@x..vn",
            "a..n@x.vn",
            "an@x.vn.",
            "An \"V\"@x.vn",
            "an@bình.vn",
            "bình@x.vn",
            "an@x.vn\nBcc: b@x.vn",
            "an@x.vn\r, b@x.vn",
            "\"an\u{0}\"@x.vn",
            "an@x.vn (",
            "an@x.vn )",
            "\"an@x.vn",
            "((((((((((a)))))))))) an@x.vn",
        ] {
            assert_eq!(addresses(value.as_bytes()), Err(Error::Syntax), "{value}");
        }
        assert_eq!(addresses(b" An \xff <an@x.vn>"), Err(Error::Syntax));
        for value in ["", " ", " (an@x.vn)", "\n "] {
            assert_eq!(addresses(value.as_bytes()), Err(Error::Empty), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_that_is_read_is_written_there_and_has_one_at_sign_outside_of_quotes(
            value in "[a@x.\"<>(), :;\\\\\n\té=?]{0,24}",
        ) {
            for address in addresses(value.as_bytes()).unwrap_or_default() {
                prop_assert!(value.contains(address));
                let (local, domain) = address.rsplit_once('@').unwrap();
                prop_assert!(!domain.is_empty() && !local.is_empty());
                prop_assert!(local.starts_with('"') || !local.contains(['@', ' ', '<']));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = addresses(&bytes);
        }
    }
}
