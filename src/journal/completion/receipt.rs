//! A door's receipt: the text behind `250 2.1.5` that says which store has a message, and in which term of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a pod or a term.
const LONGEST: usize = 253;

/// Which store has a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether the mailbox held it already, and nothing was stored.
    pub held: bool,
    /// The store's pod.
    pub pod: String,
    /// The epoch in which it served.
    pub epoch: Option<u64>,
    /// The term of that epoch.
    pub term: Option<String>,
}

impl Receipt {
    /// A store without epochs.
    #[must_use]
    pub fn of(pod: &str) -> Self {
        Self { held: false, pod: pod.to_owned(), epoch: None, term: None }
    }

    /// The same for a message that the mailbox holds already.
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }

    /// Reads what [`fmt::Display`] writes; further words are left for later releases.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let held = match words.next()? {
            "Ok" => false,
            "Held" => true,
            _ => return None,
        };
        let pod = word(words.next()?)?.to_owned();
        let epoch = words.next().and_then(|epoch| epoch.parse().ok());
        let term = words.next().and_then(word).map(str::to_owned).filter(|_| epoch.is_some());
        Some(Self { held, pod, epoch, term })
    }
}

/// A word that stands for something, and can stand in a line of words.
fn word(text: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (text != "-" && !text.is_empty() && text.len() <= LONGEST && text.bytes().all(fits)).then_some(text)
}

impl fmt::Display for Receipt {
    /// `Ok POD`, `Ok POD EPOCH` or `Ok POD EPOCH TERM`; `Held` in place of `Ok`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.held { "Held" } else { "Ok" }, self.pod)?;
        let Some(epoch) = self.epoch else { return Ok(()) };
        write!(f, " {epoch}")?;
        self.term.as_ref().map_or(Ok(()), |term| write!(f, " {term}"))
    }
}
