//! The use of one mailbox in few bytes, and as status has it. Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use serde_json::{Value, json};

use super::super::retired_status::size;
use crate::{
    agent::{logins::Account, store::usage::Mailbox},
    api::{MailboxUsage, Protocol},
    quantity,
};

/// In the order of [`Figures::logins`].
const PROTOCOLS: [Protocol; 4] =
    [Protocol::Imap, Protocol::Pop3, Protocol::Submission, Protocol::ManageSieve];

/// Times are seconds of Unix time; 0 is not known. There may be 100,000 of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether the store has told: before, no count is one.
    pub stored: bool,
    /// Bytes.
    pub used: u64,
    /// Messages.
    pub messages: u32,
    /// Messages that the owner has not read.
    pub unseen: u32,
    /// When the oldest of these came.
    pub oldest_unseen: u32,
    /// When a message last came.
    pub received: u32,
    /// When one was last sent.
    pub sent: u32,
    /// The last log-ins by protocol.
    pub logins: [u32; 4],
}

impl Figures {
    /// As status has it.
    #[must_use]
    pub fn of(usage: &MailboxUsage) -> Self {
        let logins = &usage.last_logins;
        let logins = [&logins.imap, &logins.pop3, &logins.submission, &logins.manage_sieve];
        Self {
            stored: usage.messages.is_some(),
            used: usage.used.as_deref().and_then(quantity::bytes).unwrap_or_default(),
            messages: usage.messages.unwrap_or_default(),
            unseen: usage.unseen.unwrap_or_default(),
            oldest_unseen: seconds(usage.oldest_unseen.as_ref()),
            received: seconds(usage.last_received.as_ref()),
            sent: seconds(usage.last_sent.as_ref()),
            logins: logins.map(|time| seconds(time.as_ref())),
        }
    }

    /// With what the store says now. A last delivery is not taken back: a store may have forgotten it.
    #[must_use]
    pub fn with_store(self, told: &Mailbox) -> Self {
        Self {
            stored: true,
            used: told.used,
            messages: told.messages,
            unseen: told.unseen,
            oldest_unseen: told.oldest_unseen.unwrap_or_default(),
            received: self.received.max(told.last_received.unwrap_or_default()),
            ..self
        }
    }

    /// With what a gateway says: each knows the log-ins that it has seen.
    #[must_use]
    pub fn with_gateway(mut self, told: &Account) -> Self {
        for (last, protocol) in self.logins.iter_mut().zip(PROTOCOLS) {
            *last = (*last).max(told.last(protocol).unwrap_or_default());
        }
        Self { sent: self.sent.max(told.sent.unwrap_or_default()), ..self }
    }

    /// As it is told: of a mailbox with members nobody knows what was read, and bytes are rounded.
    #[must_use]
    pub fn told(self, shared: bool) -> Self {
        let (unseen, oldest_unseen) = if shared { (0, 0) } else { (self.unseen, self.oldest_unseen) };
        let used = quantity::bytes(&size(self.used.div_ceil(1024))).unwrap_or(self.used);
        Self { used, unseen, oldest_unseen, ..self }
    }

    /// How much of a quota is used, in percent, as far as that is known.
    #[must_use]
    pub fn percent(&self, quota: Option<u64>) -> Option<u64> {
        let quota = quota.filter(|quota| *quota > 0 && self.stored)?;
        u64::try_from(u128::from(self.used) * 100 / u128::from(quota)).ok()
    }

    /// The last log-in.
    #[must_use]
    pub fn login(&self) -> u32 {
        self.logins.into_iter().max().unwrap_or_default()
    }

    /// The last log-in by which mail can be read.
    #[must_use]
    pub fn reading(&self) -> u32 {
        self.logins[0].max(self.logins[1])
    }

    /// As a patch of `status`: what is not known is taken away.
    #[must_use]
    pub fn patch(&self, shared: bool) -> Value {
        let count = |count: u32, known: bool| if known { json!(count) } else { Value::Null };
        let mut logins = json!({});
        for (last, protocol) in self.logins.iter().zip(PROTOCOLS) {
            if let Ok(Value::String(name)) = serde_json::to_value(protocol) {
                logins[name] = json!(time(*last));
            }
        }
        let usage = json!({
            "used": if self.stored { json!(size(self.used.div_ceil(1024))) } else { Value::Null },
            "messages": count(self.messages, self.stored),
            "unseen": count(self.unseen, self.stored && !shared),
            "oldestUnseen": time(if shared { 0 } else { self.oldest_unseen }),
            "lastReceived": time(self.received),
            "lastSent": time(self.sent),
            "lastLogin": time(self.login()),
            "lastLogins": if self.login() > 0 { logins } else { Value::Null },
        });
        json!({ "usage": usage })
    }
}

fn seconds(time: Option<&Time>) -> u32 {
    time.and_then(|time| u32::try_from(time.0.as_second()).ok()).unwrap_or_default()
}

fn time(seconds: u32) -> Option<Time> {
    Timestamp::from_second(i64::from(seconds)).ok().filter(|_| seconds > 0).map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(used: u64, messages: u32, received: Option<u32>) -> Mailbox {
        Mailbox {
            address: "an@x.vn".into(),
            owner: "u".into(),
            used,
            messages,
            unseen: 2,
            oldest_unseen: Some(50),
            last_received: received,
        }
    }

    /// What a merge patch takes away is not there.
    fn strip(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(strip);
        }
    }

    fn published(figures: Figures, shared: bool) -> MailboxUsage {
        let mut patch = figures.patch(shared);
        strip(&mut patch);
        serde_json::from_value(patch["usage"].clone()).unwrap()
    }

    #[test]
    fn what_status_says_is_read_back_as_it_was() {
        let account: Account =
            serde_json::from_value(json!({"IMAP": 900, "Submission": 950, "sent": 960})).unwrap();
        let known = Figures::default().with_store(&store(123_456_789, 3, Some(800))).with_gateway(&account);
        let usage = published(known, false);
        assert_eq!((usage.used.as_deref(), usage.messages, usage.unseen), (Some("117Mi"), Some(3), Some(2)));
        assert_eq!(usage.last_login, time(950));
        assert_eq!((usage.last_logins.imap.clone(), usage.last_logins.pop3.clone()), (time(900), None));
        assert_eq!(Figures::of(&usage), known.told(false));
        assert_eq!(Figures::of(&published(known, true)), known.told(true));
        assert_eq!(published(known, true).unseen, None);
    }

    #[test]
    fn what_is_not_known_is_absent_and_never_zero() {
        assert_eq!(published(Figures::default(), false), MailboxUsage::default());
        let empty = published(Figures::default().with_store(&store(0, 0, None)), false);
        assert_eq!(
            (empty.used.as_deref(), empty.messages, empty.last_received),
            (Some("0Ki"), Some(0), None)
        );
    }

    #[test]
    fn the_latest_of_what_gateways_say_counts_and_a_delivery_is_not_taken_back() {
        let account = |at: u32| serde_json::from_value::<Account>(json!({"POP3": at, "sent": at})).unwrap();
        let known = Figures::default().with_gateway(&account(70)).with_gateway(&account(60));
        assert_eq!((known.login(), known.reading(), known.sent), (70, 70, 70));
        let known = known.with_store(&store(1, 1, Some(90))).with_store(&store(1, 1, None));
        assert_eq!(known.received, 90);
    }
}
