//! `cyrus.header` of a folder (Cyrus 3.10): a greeting, then one line, a list of keys and values in parentheses. `N` is the
//! folder's name in Cyrus' own notation, `T` its type. `I` its unique id, `U` the names of its messages' keywords. `A`, the access
//! list, is skipped.

use super::Error;

/// `MAILBOX_HEADER_MAGIC` of `imap/mailbox.h`.
pub(super) const GREETING: &[u8] = b"\xa1\x02\x8b\rCyrus mailbox header\n\
    \"The best thing about this system was that it had lots of goals.\"\n\t--Jim Morris on Andrew\n";

/// Where a folder belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of its mailbox.
    pub address: String,
    /// The first part of its name, as Cyrus keeps it; none for the inbox.
    pub top: Option<String>,
    /// Whether it is for mail, and not for scripts or subscriptions of programs.
    pub mail: bool,
}

/// What the file says of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderHeader {
    /// Its name in Cyrus' own notation: `DOMAIN!user.LOCAL.FOLDER`, in which a dot of a name is written as `^`.
    pub name: String,
    /// Its unique id, which is the name of its directory.
    pub id: String,
    /// `e` for mail; others for calendars, address books, scripts, subscriptions.
    pub kind: String,
    /// The names of its messages' keywords. One that was removed leaves its place empty.
    pub keywords: Vec<Option<String>>,
}

impl FolderHeader {
    /// Reads a file.
    ///
    /// # Errors
    /// It is half written, or of a release that is not known.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let list =
            file.strip_prefix(GREETING).and_then(|rest| rest.strip_prefix(b"%(")).ok_or(Error::Torn)?;
        let mut words = Words(list);
        let (mut name, mut id, mut kind, mut keywords) = (None, None, None, Vec::new());
        while let Some(key) = words.next()? {
            if key == b"U" {
                keywords = words.list()?;
                continue;
            }
            let value = words.next()?.ok_or(Error::Torn)?;
            match key.as_slice() {
                b"N" => name = Some(text(value)?),
                b"I" => id = Some(text(value)?),
                b"T" => kind = Some(text(value)?),
                _ => {}
            }
        }
        let of = |value: Option<String>| value.ok_or(Error::Torn);
        Ok(Self { name: of(name)?, id: of(id)?, kind: of(kind)?, keywords })
    }
}

fn text(word: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(word).map_err(|_| Error::Torn)
}

/// What the return of a store goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name in Cyrus' notation: `DOMAIN!user.LOCAL.FOLDER`.
    pub name: String,
    /// Whether it is for mail, and not for scripts or subscriptions of programs.
    pub mail: bool,
    /// The keywords that its messages' records have bits for; empty where one was removed.
    pub keywords: Vec<String>,
}

impl Label {
    /// Reads a file.
    ///
    /// # Errors
    /// It is half written, or of a release that is not known.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let FolderHeader { name, kind, keywords, .. } = FolderHeader::parse(file)?;
        let keywords = keywords.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Self { name, mail: kind.starts_with('e'), keywords })
    }
}

impl Place {
    /// Reads a file. None for a folder of no mailbox, or one that was deleted.
    ///
    /// # Errors
    /// It is half written, or of a release that is not known.
    pub fn parse(file: &[u8]) -> Result<Option<Self>, Error> {
        let FolderHeader { name, kind, .. } = FolderHeader::parse(file)?;
        Ok(split(&name).map(|(address, top)| Self { address, top, mail: kind.starts_with('e') }))
    }
}

/// `DOMAIN!user.LOCAL.FOLDER`, in which a dot of a name is written as `^`.
fn split(name: &str) -> Option<(String, Option<String>)> {
    let (domain, path) = name.split_once('!')?;
    let mut parts = path.strip_prefix("user.")?.split('.');
    let local = parts.next()?.replace('^', ".");
    Some((format!("{local}@{domain}"), parts.next().map(|top| top.replace('^', "."))))
}

/// The words of a list, up to its end. A list within it is an empty word.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.0 = self.0.trim_ascii_start();
        match self.0 {
            [b')', rest @ ..] => {
                self.0 = rest;
                Ok(None)
            }
            [b'(', rest @ ..] | [b'%', b'(', rest @ ..] => {
                self.0 = rest;
                let mut depth = 1;
                while depth > 0 {
                    match self.0 {
                        [] => return Err(Error::Torn),
                        [b' ', rest @ ..] => self.0 = rest,
                        [b'(', rest @ ..] | [b'%', b'(', rest @ ..] => (self.0, depth) = (rest, depth + 1),
                        [b')', rest @ ..] => (self.0, depth) = (rest, depth - 1),
                        _ => drop(self.word()?),
                    }
                }
                Ok(Some(Vec::new()))
            }
            _ => self.word().map(Some),
        }
    }

    /// A list of names, of which those that are `NIL` are none.
    fn list(&mut self) -> Result<Vec<Option<String>>, Error> {
        let rest = self.0.trim_ascii_start();
        self.0 = rest.strip_prefix(b"(").ok_or(Error::Torn)?;
        let mut names = Vec::new();
        while let Some(word) = self.next()? {
            let name = String::from_utf8_lossy(&word).into_owned();
            names.push(Some(name).filter(|name| name != "NIL"));
        }
        Ok(names)
    }

    /// An atom, a string in quotes, or a literal.
    fn word(&mut self) -> Result<Vec<u8>, Error> {
        match self.0 {
            [b'"', rest @ ..] => {
                let (mut word, mut at) = (Vec::new(), 0);
                loop {
                    match rest.get(at).ok_or(Error::Torn)? {
                        b'"' => break,
                        b'\\' => at += 1,
                        _ => {}
                    }
                    word.push(*rest.get(at).ok_or(Error::Torn)?);
                    at += 1;
                }
                self.0 = &rest[at + 1..];
                Ok(word)
            }
            [b'{', rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == b'}').ok_or(Error::Torn)?;
                let digits = rest[..end].strip_suffix(b"+").unwrap_or(&rest[..end]);
                let length: usize =
                    std::str::from_utf8(digits).ok().and_then(|it| it.parse().ok()).ok_or(Error::Torn)?;
                let content = rest[end + 1..].strip_prefix(b"\r\n").ok_or(Error::Torn)?;
                let word = content.get(..length).ok_or(Error::Torn)?;
                self.0 = &content[length..];
                Ok(word.to_vec())
            }
            all => {
                let end = all.iter().position(|byte| b" ()".contains(byte)).ok_or(Error::Torn)?;
                if end == 0 {
                    return Err(Error::Torn);
                }
                self.0 = &all[end..];
                Ok(all[..end].to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(list: &str) -> Vec<u8> {
        [GREETING, list.as_bytes()].concat()
    }

    fn place(list: &str) -> Option<(String, Option<String>, bool)> {
        let place = Place::parse(&file(list)).unwrap()?;
        Some((place.address, place.top, place.mail))
    }

    #[test]
    fn a_folder_belongs_to_the_mailbox_that_its_name_says() {
        let inbox = "%(T e N x.vn!user.an^nguyen I 8f-1 Q x.vn!user.an^nguyen A %(an.nguyen@x.vn lrs N \"b c\") U (N \"(T\"))\n";
        assert_eq!(place(inbox), Some(("an.nguyen@x.vn".into(), None, true)));
        let folder = "%(T e N {29+}\r\nx.vn!user.an.C&AfQ- vi^x.2026 I 8f)\n";
        assert_eq!(place(folder), Some(("an@x.vn".into(), Some("C&AfQ- vi.x".into()), true)));
        assert_eq!(
            place("%(T f N \"x.vn!user.an.#sieve\" I 8f)\n"),
            Some(("an@x.vn".into(), Some("#sieve".into()), false))
        );
    }

    #[test]
    fn what_is_deleted_or_nobodys_belongs_to_no_mailbox() {
        for name in ["x.vn!DELETED.user.an.6B04D33E", "x.vn!shared.x", "user.an"] {
            assert_eq!(place(&format!("%(T e N {name} I 8f)\n")), None, "{name}");
        }
    }

    #[test]
    fn keywords_keep_their_places() {
        let list = "%(T e N x.vn!user.an I 8f-1 A %(an lrs) U ($Label1 NIL \"a b\") Q x.vn!user.an)\n";
        let header = FolderHeader::parse(&file(list)).unwrap();
        assert_eq!((header.id.as_str(), header.kind.as_str()), ("8f-1", "e"));
        assert_eq!(header.keywords, [Some("$Label1".into()), None, Some("a b".into())]);
        let none = FolderHeader::parse(&file("%(T e N x.vn!user.an I 8f)\n")).unwrap();
        assert_eq!(none.keywords, []);
        assert_eq!(FolderHeader::parse(&file("%(T e N x I 8f U x)\n")), Err(Error::Torn));
    }

    #[test]
    fn half_of_a_file_is_torn() {
        let whole = file("%(T e N \"x.vn!user.an\" I 8f A %(an lrs))\n");
        for end in 0..whole.len() - 1 {
            assert_eq!(Place::parse(&whole[..end]), Err(Error::Torn), "{end}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Place::parse(&[GREETING, b"%(", &bytes].concat());
        }
    }
}
