//! An id in JSON: its 32 digits.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use super::JournalId;

pub fn serialize<S: Serializer>(id: &JournalId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JournalId, D::Error> {
    let text = String::deserialize(deserializer)?;
    JournalId::parse(text.as_bytes()).ok_or_else(|| D::Error::custom("no id of a journal"))
}
