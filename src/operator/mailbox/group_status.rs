//! What status says of a MailGroup. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    index::{EXPANDED, Group, GroupProblem, GroupVerdict, Key, MOST, ObjectName},
    status::{Progress, obstacle_message, obstacle_reason},
};
use crate::{
    api::MailGroupStatus,
    conditions::{self, Finding},
    names::PURGE,
};

/// Most members that are named.
const NAMED: usize = 20;

/// The status of a MailGroup.
#[must_use]
pub fn group(
    key: &Key,
    group: &Group,
    verdict: &GroupVerdict,
    progress: Progress,
    now: &Time,
) -> MailGroupStatus {
    let (fact, reach) = (&group.fact, &group.reach);
    let finding = finding(key, &fact.address, verdict, progress);
    let served = verdict.system.is_some();
    let not_reached = [&reach.unknown, &reach.closed, &reach.outside].into_iter().flatten();
    let generation = Some(fact.meta.generation);
    MailGroupStatus {
        observed_generation: generation,
        address: served.then(|| fact.address.to_string()),
        reaches: if served { u32::try_from(reach.recipients.len()).unwrap_or(u32::MAX) } else { 0 },
        not_reached: not_reached.filter(|_| served).take(NAMED).map(ToString::to_string).collect(),
        conditions: conditions::merge(&fact.published.conditions, &[finding], generation, now),
    }
}

fn finding(key: &Key, address: &str, verdict: &GroupVerdict, progress: Progress) -> Finding {
    if let Some(first) = verdict.problems.first() {
        let messages: Vec<_> =
            verdict.problems.iter().map(|problem| message(problem, key, address)).collect();
        return Finding::no("Ready", reason(first), messages.join(" "));
    }
    match progress {
        Progress::Served if verdict.system.is_some() => {
            Finding::yes("Ready", "Served", "Every gateway reaches the members and knows who may write.")
        }
        _ => Finding::unknown("Ready", "AwaitingAgents", "Not every gateway answers for the group yet."),
    }
}

fn reason(problem: &GroupProblem) -> &'static str {
    match problem {
        GroupProblem::Domain(obstacle) => obstacle_reason(obstacle),
        GroupProblem::AddressConflict(_) => "AddressConflict",
        GroupProblem::AddressRetired(_) => "AddressRetired",
        GroupProblem::TooMany(_) | GroupProblem::Expands(_) => "TooManyMembers",
        GroupProblem::AliasConflict(..) => "AliasConflict",
        GroupProblem::AliasDomain(_) => "AliasDomainNotFound",
        GroupProblem::AliasRetired(..) => "AliasRetired",
        GroupProblem::NoMembers => "NoMembers",
        GroupProblem::Loop(_) => "Loop",
        GroupProblem::Unknown(_) => "MemberUnknown",
        GroupProblem::Closed(_) => "MemberClosed",
        GroupProblem::Outside(_) => "MemberOutside",
    }
}

fn message(problem: &GroupProblem, key: &Key, address: &str) -> String {
    match problem {
        GroupProblem::Domain(obstacle) => obstacle_message(obstacle, key),
        GroupProblem::AddressConflict(winner) => {
            format!(
                "{winner} has {address}; this group is not served. Delete one of them, or give it another address."
            )
        }
        GroupProblem::AddressRetired(names) => {
            format!("The group is not served: {}.", kept(address, names))
        }
        GroupProblem::TooMany(many) => format!(
            "The group reaches {many} recipients, and {MOST} is the most; its mail waits with the senders. Take members out, or write to several groups."
        ),
        GroupProblem::Expands(many) => format!(
            "A message to the group becomes {many} with the groups to which its members forward, and {EXPANDED} is the most; its mail waits with the senders. Take members out, or change their spec.forward."
        ),
        GroupProblem::AliasConflict(alias, winner) => format!(
            "The group is served without the alias {alias}: {winner} has it. Remove it from one of them."
        ),
        GroupProblem::AliasDomain(alias) => format!(
            "The group is served without the alias {alias}: no MailDomain of namespace {} and of the same system has its domain.",
            key.namespace
        ),
        GroupProblem::AliasRetired(alias, names) => {
            format!("The group is served without the alias {alias}: {}.", kept(alias, names))
        }
        GroupProblem::NoMembers => {
            "The group reaches nobody; its mail waits with the senders. Add members that are there."
                .to_owned()
        }
        GroupProblem::Loop(ring) => {
            let ring: Vec<_> = ring.iter().map(ToString::to_string).collect();
            format!(
                "The group is a member of itself by way of {}. Everybody in them is reached all the same, once. Take one of them out of another.",
                ring.join(", ")
            )
        }
        GroupProblem::Unknown(members) => format!(
            "Not reached, since the system has no mailbox or group of this address: {}. Create it, or take it out of spec.members.",
            named(members)
        ),
        GroupProblem::Closed(members) => format!(
            "Not reached, since the mailbox takes no mail: {}. Open it, or take it out of spec.members.",
            named(members)
        ),
        GroupProblem::Outside(members) => format!(
            "Not reached, since the address is outside the system: {}. Set spec.externalMembers to Allow, or take it out of spec.members.",
            named(members)
        ),
    }
}

/// Why no group has the address.
fn kept(address: &str, names: &[ObjectName]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    format!(
        "{address} was a mailbox's address, whose mail is kept as RetiredMailbox {}, and what is sent there may be meant for that mailbox. Name another address, or have that mail purged (kubectl annotate retiredmailbox <name> {PURGE}={address})",
        names.join(", ")
    )
}

/// The first of them, and how many more there are.
fn named(members: &[Arc<str>]) -> String {
    let first: Vec<&str> = members.iter().take(NAMED).map(|member| &**member).collect();
    match members.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_short_however_many_members_are_missing() {
        let members: Vec<Arc<str>> = (0..1000).map(|n| format!("u{n}@x.vn").into()).collect();
        let said = named(&members);
        assert!(said.starts_with("u0@x.vn, u1@x.vn") && said.ends_with(" and 980 more"), "{said}");
        assert_eq!(named(&members[..2]), "u0@x.vn, u1@x.vn");
    }
}
