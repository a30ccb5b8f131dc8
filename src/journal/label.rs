//! The label of a segment in its age header: a recipient's line that wraps no key, which the stock tools pass over. It says
//! which segment this is, in which format, and how long, so that a segment that was cut off, moved or written by a later
//! release is known as such even where the content cannot be read. The header's MAC covers it.

use std::{cell::RefCell, collections::HashSet};

use age::{DecryptError, EncryptError, Identity, Recipient};
use age_core::format::{FileKey, Stanza};

use super::plain::{Name, VERSION};

const TAG: &str = "mail.angiang.gov.vn/journal";

/// What the label says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// Of the format that this release reads.
    Known {
        /// Which segment.
        name: Name,
        /// How many bytes its content has.
        length: u64,
    },
    /// Of another format.
    Other(u64),
}

/// Writes the label. Its labels in age's sense are none, as those of an X25519 recipient, with which it stands.
pub struct Writes(pub Name, pub u64);

impl Recipient for Writes {
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let Self(name, length) = self;
        let words =
            [VERSION.to_string(), name.gateway().to_owned(), name.number().to_string(), length.to_string()];
        Ok((vec![Stanza { tag: TAG.to_owned(), args: words.to_vec(), body: Vec::new() }], HashSet::new()))
    }
}

/// Reads the label. It never gives a key, so it is asked before the identities that do.
#[derive(Default)]
pub struct Reads(RefCell<Option<Label>>);

impl Reads {
    /// What was found.
    pub fn found(&self) -> Option<Label> {
        self.0.borrow().clone()
    }
}

impl Identity for Reads {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag == TAG
            && let Some(label) = parse(&stanza.args)
        {
            self.0.replace(Some(label));
        }
        None
    }
}

fn parse(words: &[String]) -> Option<Label> {
    let version = words.first()?.parse().ok()?;
    if version != VERSION {
        return Some(Label::Other(version));
    }
    let [_, gateway, number, length] = words else { return None };
    Some(Label::Known { name: Name::new(gateway, number.parse().ok()?)?, length: length.parse().ok()? })
}

/// A label of another format.
#[cfg(test)]
pub fn tests_label(version: u64) -> impl Recipient {
    struct Other(u64);
    impl Recipient for Other {
        fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
            let args = vec![self.0.to_string(), "and".to_owned(), "more".to_owned()];
            Ok((vec![Stanza { tag: TAG.to_owned(), args, body: Vec::new() }], HashSet::new()))
        }
    }
    Other(version)
}
