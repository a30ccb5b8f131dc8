//! What is known of the use of a mailbox.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a mailbox's use, as its store and the gateways tell. What is absent is not known, or never was. A change
/// is written within 15 minutes, the first log-in and the first messages at once.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailboxUsage {
    /// How much its messages are, a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// Number of messages in all folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// Messages that its owner has not read, in all folders but Junk, Trash, Drafts and Sent. Absent if it has members: what
    /// each of them has read is their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u32>,
    /// When the oldest of these came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unseen: Option<Time>,
    /// When a message last came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received: Option<Time>,
    /// When a message of a client that logged in as this mailbox was last accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Time>,
    /// When somebody last logged in, over whichever protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login: Option<Time>,
    /// The same for each protocol.
    #[serde(default, skip_serializing_if = "ProtocolTimes::is_empty")]
    pub last_logins: ProtocolTimes,
}

/// A time for each protocol.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct ProtocolTimes {
    /// IMAP.
    #[serde(rename = "IMAP", default, skip_serializing_if = "Option::is_none")]
    pub imap: Option<Time>,
    /// POP3.
    #[serde(rename = "POP3", default, skip_serializing_if = "Option::is_none")]
    pub pop3: Option<Time>,
    /// SMTP on the submission ports.
    #[serde(rename = "Submission", default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Time>,
    /// ManageSieve.
    #[serde(rename = "ManageSieve", default, skip_serializing_if = "Option::is_none")]
    pub manage_sieve: Option<Time>,
}

impl ProtocolTimes {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
