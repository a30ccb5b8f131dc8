//! The only code of the MailSystem controller that writes to the API: server-side apply in order, status, events, the
//! lease. Nothing is pruned: every object of a system is wanted for as long as the system is (shards do not shrink), and
//! what belongs to a deleted one goes with its owner, except for volumes.

mod applier;
pub mod apply;
pub mod events;
pub mod known;
pub mod lease;
pub mod ownership;
pub mod status;

/// Whether nothing can be made any more because the namespace is being deleted: that passes by itself, and is no news.
#[must_use]
pub fn is_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}
