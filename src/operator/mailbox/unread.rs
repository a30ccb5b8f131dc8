//! What is said of objects that cannot be read: which field it is, what is served of them meanwhile, what to do. Their
//! status is patched without their type.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use serde_json::{Value, json};

use super::{
    controller::Controller,
    index::{Meta, Published},
    statuses::{Target, Word},
};
use crate::{
    api::{MailGroup, Mailbox},
    conditions::{self, Finding},
    directory::{self, AddressError},
    operator::guarded::{Guarded, Unreadable},
};

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    /// Its identity.
    pub meta: Meta,
    /// The field.
    field: String,
    /// What is wrong with it.
    error: String,
    /// What its status says.
    conditions: Vec<Condition>,
}

impl From<Unreadable> for Unread {
    fn from(unreadable: Unreadable) -> Self {
        let meta = Meta::of(&Guarded::<Mailbox>(Err(unreadable.clone())));
        let Unreadable { field, error, conditions, .. } = unreadable;
        Self { meta, field, error, conditions }
    }
}

impl Unread {
    /// A Mailbox with an address that the directory cannot hold: the rules of the definition were bypassed.
    pub fn address(object: &Mailbox, error: &AddressError) -> Self {
        let amiss = directory::fold(&object.spec.address).is_err();
        let field = if amiss { "spec.address" } else { "spec.aliases" };
        let conditions = object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        Self { meta: Meta::of(object), field: field.to_owned(), error: error.to_string(), conditions }
    }

    /// A MailGroup with such an address in this field.
    pub fn group(object: &MailGroup, field: &str, error: &AddressError) -> Self {
        let conditions = object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        Self { meta: Meta::of(object), field: field.to_owned(), error: error.to_string(), conditions }
    }

    /// The field of the status that cannot be read, if it can be found out again.
    fn ours(&self) -> Option<&str> {
        let field = self.field.strip_prefix("status.")?.split(['.', '[']).next()?;
        (!["shard", "restoredFrom", "conditions"].contains(&field)).then_some(field)
    }

    fn finding(&self, target: &Target, served: bool) -> Finding {
        let meanwhile = match (target, served) {
            (Target::Mailbox(_), true) => {
                "It is served as it was: its mail arrives, its password works, and nobody else gets its addresses."
            }
            (Target::Mailbox(_), false) => "It is not served; mail that it had is kept.",
            (Target::Group(_), true) => {
                "It is served as it was: whom it reached is reached, and who might write to it may."
            }
            (Target::Domain(_), true) => "It is served as it was, signed with the key that it had.",
            (Target::Group(_) | Target::Domain(_), false) => "It is not served.",
            (Target::Retired(_) | Target::System(_) | Target::Usage(_), _) => {
                "The mail is kept, and nothing said here is heeded."
            }
        };
        let message = format!(
            "The operator cannot read {}: {}. {meanwhile} Correct the field; if a newer release knows it, upgrade the operator.",
            self.field,
            self.error.trim_end_matches('.')
        );
        Finding::no("Ready", "Unreadable", message)
    }
}

impl Controller {
    /// Says of an object that it cannot be read, unless its status says so already. False if it can be.
    pub(super) fn say_unread(&mut self, target: &Target) -> bool {
        let Some(unread) = self.unread.get(target) else { return false };
        let served = match target {
            Target::Mailbox(key) => self.index.listed_in(key).is_some(),
            Target::Domain(key) => self.index.standing(key).is_ok(),
            Target::Group(key) => self.index.group_in(key).is_some(),
            Target::Retired(_) | Target::System(_) | Target::Usage(_) => false,
        };
        // A directory that is yet to be read may have it.
        let unknown = !served && !matches!(target, Target::Retired(_));
        if unknown && self.index.systems().any(|(_, system)| !system.loaded) {
            return true;
        }
        let (generation, now) = (Some(unread.meta.generation), Time(Timestamp::now()));
        let finding = unread.finding(target, served);
        let new = conditions::merge(&unread.conditions, &[finding], generation, &now);
        self.waiting.forget(target);
        if new == unread.conditions {
            self.statuses.forget(target);
            return true;
        }
        let mut status = json!({ "observedGeneration": generation, "conditions": new });
        if let Some(field) = unread.ours() {
            status[field] = Value::Null;
        }
        let published = Published { digest: super::index::digest(&new, |new| new), ..Published::default() };
        let same_reason =
            conditions::get(&unread.conditions, "Ready").is_some_and(|it| it.reason == "Unreadable");
        let trouble = if same_reason { Vec::new() } else { new };
        let word = Word { uid: unread.meta.uid.to_string(), status, published, trouble };
        self.statuses.push(target.clone(), word);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::ObjectName;

    fn unread(field: &str) -> Unread {
        Unread { meta: Meta::default(), field: field.into(), error: "unknown".into(), conditions: Vec::new() }
    }

    #[test]
    fn only_what_can_be_found_out_again_is_taken_out_of_a_status() {
        let fields =
            ["status.dnsRecords[0].state", "status.shard", "status.conditions[0].status", "spec.state"];
        assert_eq!(
            fields.map(|field| unread(field).ours().map(str::to_owned)),
            [Some("dnsRecords".into()), None, None, None]
        );
    }

    #[test]
    fn the_field_is_named_and_what_is_served_and_what_to_do() {
        let unread = unread("spec.state");
        let target = Target::Mailbox(ObjectName::new("n", "an").into());
        let said = unread.finding(&target, true).message;
        for part in ["spec.state", "served as it was", "upgrade the operator"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(unread.finding(&target, false).message.contains("not served"));
    }
}
