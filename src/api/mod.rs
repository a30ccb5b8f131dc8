//! The custom resources of `mail.angiang.gov.vn/v1alpha1`: types, CEL rules, defaults and printer columns; no logic.
//!
//! What the API server can refuse at apply it refuses by the rules here; everything that depends on other objects
//! becomes a condition (see [`crate::operator`]). All kinds are namespaced and in the category `mail`.

pub mod backup;
pub mod domain;
pub mod group;
pub mod limits;
pub mod mailbox;
pub mod restore;
pub mod retired;
mod schema;
pub mod snapshot;
pub mod system;
pub mod usage;

pub use backup::{MailBackup, MailBackupSpec, MailBackupStatus};
pub use domain::{MailDomain, MailDomainSpec, MailDomainStatus};
pub use group::{ExternalMembers, MailGroup, MailGroupSpec, MailGroupStatus, Posting};
pub use limits::{DomainLimits, MailboxLimits, SystemLimits};
pub use mailbox::{
    AppPassword, AppPasswordState, AppPasswordStatus, Mailbox, MailboxSpec, MailboxState, MailboxStatus,
    MailboxType, MemberRight, Protocol, SendingSuspended, WhileSuspended,
};
pub use restore::{MailRestore, MailRestoreSpec, MailRestoreStatus};
pub use retired::{RetiredMailbox, RetiredMailboxSpec, RetiredMailboxStatus};
pub use snapshot::{MailSnapshot, MailSnapshotSpec, MailSnapshotStatus};
pub use system::{MailSystem, MailSystemSpec, MailSystemStatus};
pub use usage::{MailboxUsage, ProtocolTimes};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// API group of all kinds.
pub const GROUP: &str = "mail.angiang.gov.vn";

/// Every custom resource definition of the project, in the order in which they are installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        MailSystem::crd(),
        MailDomain::crd(),
        Mailbox::crd(),
        MailGroup::crd(),
        RetiredMailbox::crd(),
        MailBackup::crd(),
        MailSnapshot::crd(),
        MailRestore::crd(),
    ]
    .map(schema::tidy)
    .into()
}
