//! The records that a mail domain needs in the DNS: what they should be, what a resolver says they are, and what that
//! means.
//!
//! ```text
//!  Needs ──expected──▶ Expected ──questions──▶ resolve (the only IO) ──▶ Answers ──judge──▶ records of status
//! ```
//!
//! Nothing here writes anything, in the DNS or in the cluster.

mod expected;
mod judge;
mod resolve;
#[cfg(test)]
mod tests;

pub use expected::{Expected, Key, Needs, expected, key_name, questions};
pub use judge::{judge, verdict};
pub use resolve::ask;

use std::collections::BTreeMap;

/// Type of a record, as far as mail needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Addresses, of either family.
    A,
    /// Mail servers (RFC 5321, 5.1).
    Mx,
    /// The name of an address.
    Ptr,
    /// Text.
    Txt,
}

/// Owner name without the final dot, and type.
pub type Question = (String, Type);

/// What a resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These records, in presentation form and sorted; TXT data is one string without quotes.
    Records(Vec<String>),
    /// There is no such record.
    Nothing,
    /// It could not say, for this reason.
    Failed(String),
}

/// Answers by question.
pub type Answers = BTreeMap<Question, Answer>;
