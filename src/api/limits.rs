//! How much may be sent and kept: of a system, of a domain, of a mailbox.

use kube::KubeSchema;
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
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DomainLimits {
    /// Number of mailboxes. Those that are beyond it when it is set or lowered go on working; no new one is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000_000))]
    pub mailboxes: Option<u32>,
    /// What the quotas of its mailboxes may come to together. A mailbox, or a larger quota, for which too little is left has
    /// to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('1Ei')) <= 0", "must be a quantity from 1Mi to 1Ei, such as 500Gi"))]
    #[schemars(length(max = 32))]
    pub total_quota: Option<String>,
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
