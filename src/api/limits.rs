//! How much may be sent: of a system, of a domain, of a mailbox.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much each mailbox of a system may send.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SystemLimits {
    /// Messages within an hour.
    #[serde(default = "messages")]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_hour: u32,
    /// Recipients of one message.
    #[serde(default = "recipients")]
    #[schemars(range(min = 1, max = 1000))]
    pub recipients_per_message: u32,
}

impl Default for SystemLimits {
    fn default() -> Self {
        Self { messages_per_hour: messages(), recipients_per_message: recipients() }
    }
}

/// How much the mailboxes of a domain may use together.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DomainLimits {
    /// Messages that its mailboxes may send within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub messages_per_hour: Option<u32>,
}

/// How much a mailbox may send, where that is not the system's.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MailboxLimits {
    /// Messages within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_hour: Option<u32>,
    /// Recipients of one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub recipients_per_message: Option<u32>,
}

fn messages() -> u32 {
    300
}

fn recipients() -> u32 {
    100
}
