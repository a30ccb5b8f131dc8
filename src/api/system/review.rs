//! What is looked for in mailboxes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::default_from_serde;

/// What is looked for in mailboxes. Status tells; nothing happens by itself.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// After how many days without anybody reading it a mailbox that receives mail is unattended, such as `60d`.
    #[serde(default = "sixty_days")]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]{0,3}d$')", "must be a number of days, such as 60d"))]
    #[schemars(length(max = 5))]
    pub unattended_after: String,
}

/// How many mailboxes are to be looked at. What is absent is not known.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReviewSummary {
    /// Mailboxes that are served.
    #[serde(default)]
    pub total: u32,
    /// Of these, in state Active.
    #[serde(default)]
    pub active: u32,
    /// In state `ReceiveOnly`.
    #[serde(default)]
    pub receive_only: u32,
    /// In state Suspended.
    #[serde(default)]
    pub suspended: u32,
    /// In state Retired.
    #[serde(default)]
    pub retired: u32,
    /// Whose day of review has come.
    #[serde(default)]
    pub review_due: u32,
    /// That receive mail nobody reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended: Option<u32>,
    /// That nobody ever read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_used: Option<u32>,
    /// Whose quota is nearly full, or full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearly_full: Option<u32>,
}

default_from_serde!(Review);

fn sixty_days() -> String {
    "60d".to_owned()
}
