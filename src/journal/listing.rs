//! What a gateway's agent tells of the segments that there are.

use serde::{Deserialize, Serialize};

/// A page of the list of segments, as a gateway's agent gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// Names and the time of writing, by name.
    pub segments: Vec<Listed>,
    /// What to name as `after` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A segment in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// `SERIES/NUMBER.age`.
    pub name: String,
    /// When it was written: Unix time in seconds.
    pub written: i64,
}
