//! What status says of a Mailbox. Input is the index's verdict and whether the agents have it; output is
//! the status. Pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::index::{
    Bound, Estate, Former, ForwardProblem, Full, Hindrance, Key, Login, LoginProblem, Mailbox, MailboxFact,
    MemberProblem, Obstacle, Problem, Verdict, Which,
};
use super::{agents::StoreFailure, marks};
use crate::{
    agent::sending::BULK,
    api::{
        AppPasswordState, AppPasswordStatus, MailboxState, MailboxStatus, SendingSuspended,
        mailbox::{BoundMember, FormerAddress},
    },
    conditions::{self, Finding},
    directory::Refusal,
    names::RESUME_SENDING,
    quantity,
};

/// How far an object that is in order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Some agent in service does not have it yet.
    Awaiting,
    /// Every agent in service has it.
    Served,
}

/// Name of the Secret with a generated password.
#[must_use]
pub fn generated_secret(mailbox: &str) -> String {
    format!("{mailbox}-credentials")
}

/// The status of a Mailbox.
#[must_use]
pub fn mailbox(
    key: &Key,
    mailbox: &Mailbox,
    verdict: &Verdict,
    progress: Progress,
    now: &Time,
) -> MailboxStatus {
    let fact = &mailbox.fact;
    let finding = mailbox_finding(key, mailbox, verdict, progress);
    let old = Condition {
        type_: "Ready".to_owned(),
        status: conditions::status_word(fact.published.ready).to_owned(),
        last_transition_time: Time(Timestamp::from_second(fact.published.since).unwrap_or(now.0)),
        message: String::new(),
        observed_generation: None,
        reason: String::new(),
    };
    let old = if fact.published.since > 0 { vec![old] } else { Vec::new() };
    let secret = match (&fact.secret, &mailbox.password.login) {
        _ if verdict.system.is_none() => None,
        (Some(secret), _) => Some(secret.name.to_string()),
        (None, Login::Known) => Some(generated_secret(&key.name)),
        (None, _) => None,
    };
    MailboxStatus {
        observed_generation: Some(fact.meta.generation),
        address: has_address(fact, verdict).then(|| fact.address.to_string()),
        former_addresses: fact.moving.former.iter().map(|it| former(fact, it)).collect(),
        members: fact.sharing.bound.iter().map(bound).collect(),
        shard: fact.shard,
        restored_from: fact.restored_from.as_deref().map(str::to_owned),
        credentials_secret: secret,
        app_passwords: if verdict.system.is_some() { app_passwords(mailbox) } else { Vec::new() },
        sending_suspended: mailbox
            .sending
            .suspended
            .map(|since| SendingSuspended { reason: BULK_SENDING.to_owned(), since: at(since) }),
        conditions: conditions::merge(&old, &[finding], Some(fact.meta.generation), now)
            .into_iter()
            .chain(cannot_send(key, mailbox))
            .chain(marks::conditions(key, fact.meta.generation, mailbox.marks))
            .collect(),
        usage: None,
    }
}

/// Whether nobody can take away the address under which it is served.
fn has_address(fact: &MailboxFact, verdict: &Verdict) -> bool {
    let blocked = verdict.problems.iter().any(|problem| matches!(problem, Problem::Estate(_)));
    fact.moving.settled || verdict.system.is_some() && !blocked
}

fn former(fact: &MailboxFact, former: &Former) -> FormerAddress {
    let (since, until) = (at(former.since), at(fact.kept_until(former)));
    FormerAddress { address: former.address.to_string(), since, until }
}

fn bound(bound: &Bound) -> BoundMember {
    let (address, mailbox, uid) = (bound.address.to_string(), bound.key.to_string(), bound.uid.to_string());
    BoundMember { address, mailbox, uid }
}

fn at(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// Why a mailbox may not send.
const BULK_SENDING: &str = "BulkSending";

/// The condition of a mailbox that is suspended from sending.
fn cannot_send(key: &Key, mailbox: &Mailbox) -> Option<Condition> {
    let since = at(mailbox.sending.suspended?);
    let odd = match mailbox.fact.resume {
        Some(_) => format!("The annotation {RESUME_SENDING} names another time. "),
        None => String::new(),
    };
    let message = format!(
        "{odd}It tried to send more than {BULK} times its limit within an hour; what it sends is refused. Is it the owner's doing? If not, change its passwords. Then: kubectl annotate mailbox {} --overwrite {RESUME_SENDING}={}",
        key.name, since.0
    );
    let finding = Finding::no("CanSend", BULK_SENDING, message);
    conditions::merge(&[], &[finding], Some(mailbox.fact.meta.generation), &since).pop()
}

/// Whether nothing but the agents' answer is missing for `Ready`.
#[must_use]
pub fn in_order(mailbox: &Mailbox, verdict: &Verdict) -> bool {
    verdict.problems.is_empty() && prepared(mailbox)
}

/// Whether every password was hashed.
fn prepared(mailbox: &Mailbox) -> bool {
    mailbox.passwords().all(|(_, password)| password.login == Login::Known)
}

fn app_passwords(mailbox: &Mailbox) -> Vec<AppPasswordStatus> {
    let state = |name: &std::sync::Arc<str>| {
        let password = mailbox.apps.get(name);
        let known = password.is_some_and(|password| password.credential.is_some());
        match password.map(|password| &password.login) {
            Some(Login::Known) => AppPasswordState::InUse,
            Some(Login::Problem(_)) if known => AppPasswordState::LastKnown,
            Some(Login::Problem(_)) => AppPasswordState::Unusable,
            _ => AppPasswordState::Pending,
        }
    };
    let told = mailbox.fact.apps.iter().map(|app| AppPasswordStatus {
        name: app.name.to_string(),
        secret: app.secret.name.to_string(),
        state: state(&app.name),
    });
    told.collect()
}

fn mailbox_finding(key: &Key, mailbox: &Mailbox, verdict: &Verdict, progress: Progress) -> Finding {
    if let Some(first) = verdict.problems.first() {
        let messages: Vec<_> =
            verdict.problems.iter().map(|problem| message(problem, key, mailbox)).collect();
        return Finding::no("Ready", reason(first), messages.join(" "));
    }
    if !prepared(mailbox) {
        return Finding::unknown("Ready", "AwaitingCredentials", "A password is being prepared.");
    }
    let fact = &mailbox.fact;
    match (progress, fact.state) {
        (Progress::Awaiting, _) => Finding::unknown(
            "Ready",
            "AwaitingAgents",
            "Not every gateway and store answers for the mailbox yet.",
        ),
        (Progress::Served, MailboxState::Active) => {
            Finding::yes("Ready", "Served", "Every gateway and the store answer for the mailbox.")
        }
        (Progress::Served, state) => at_rest(state, fact),
    }
}

/// What is said of a mailbox that is as its state wants it, and is not Active.
fn at_rest(state: MailboxState, fact: &MailboxFact) -> Finding {
    let (reason, mail) = match (state, &fact.refusal) {
        (MailboxState::ReceiveOnly, _) => ("ReceiveOnly", "The mailbox receives mail".to_owned()),
        (_, Some(Refusal::Retired(Some(successor)))) => {
            ("Retired", format!("Senders are told that the mailbox is closed and to write to {successor}"))
        }
        (_, Some(Refusal::Retired(None))) => {
            ("Retired", "Senders are told that the mailbox is closed".to_owned())
        }
        (_, Some(_)) => ("Suspended", "Senders are told that the mailbox is not in use".to_owned()),
        (_, None) => ("Suspended", "The mailbox receives mail".to_owned()),
    };
    let message = format!("{mail}; its owner can neither log in nor send until spec.state is Active.");
    Finding::yes("Ready", reason, message)
}

fn reason(problem: &Problem) -> &'static str {
    match problem {
        Problem::Domain(obstacle) => obstacle_reason(obstacle),
        Problem::AddressConflict(_) => "AddressConflict",
        Problem::AliasConflict(..) => "AliasConflict",
        Problem::AliasDomain(_) => "AliasDomainNotFound",
        Problem::Move(_) => "RenameRefused",
        Problem::Forward(forward) => forward_reason(forward),
        Problem::Member(member) => member_reason(member),
        Problem::Estate(estate) => estate_reason(estate),
        Problem::OtherOwner => "OtherOwner",
        Problem::HasMail => "HasMail",
        Problem::NothingToRestore => "NothingToRestore",
        Problem::Quota => "InvalidQuota",
        Problem::DomainFull(_) => "DomainLimitReached",
        Problem::QuotaRefused(_) => "QuotaOverDomainTotal",
        Problem::Login(problem) | Problem::AppPassword(_, problem) => match problem {
            LoginProblem::NotFound => "SecretNotFound",
            LoginProblem::KeyMissing => "SecretKeyMissing",
            LoginProblem::Empty => "PasswordEmpty",
            LoginProblem::Conflict => "SecretConflict",
            LoginProblem::Refused(_) => "SecretRefused",
        },
    }
}

fn message(problem: &Problem, key: &Key, mailbox: &Mailbox) -> String {
    match problem {
        Problem::Domain(obstacle) => obstacle_message(obstacle, key),
        Problem::AddressConflict(winner) => format!(
            "{winner} has {}; this one is not served. Delete one of them.",
            mailbox.fact.address
        ),
        Problem::AliasConflict(alias, winner) => format!(
            "The mailbox is served without the alias {alias}: {winner} has it. Remove it from one of them."
        ),
        Problem::AliasDomain(alias) => format!(
            "The mailbox is served without the alias {alias}: no MailDomain of namespace {} and of the same system has its domain.",
            key.namespace
        ),
        Problem::Move(hindrance) => hindrance_message(hindrance, key, mailbox),
        Problem::Forward(forward) => forward_message(forward),
        Problem::Member(member) => member_message(member),
        Problem::Estate(estate) => estate_message(estate, mailbox),
        Problem::OtherOwner => format!(
            "The store has mail under {0} whose owner is not this Mailbox; nobody is let in, and mail waits in the queue. Is it this owner's (a cluster rebuilt from Git): kubectl annotate mailbox {1} mail.angiang.gov.vn/adopt={0}. If not, give this mailbox another address.",
            mailbox.fact.address, key.name
        ),
        Problem::HasMail => {
            "The mailbox has mail of its own, so spec.restoreFrom cannot be followed. Remove it; restore into a new Mailbox."
                .to_owned()
        }
        Problem::NothingToRestore => {
            "The store does not have the mail that spec.restoreFrom names. Look at the store's volume; remove restoreFrom to start empty."
                .to_owned()
        }
        Problem::Quota => {
            "spec.quota cannot be read; 2Gi is used until it is a quantity such as 2Gi.".to_owned()
        }
        Problem::DomainFull(full) => {
            format!("The mailbox is not served: {}.", full_message(full))
        }
        Problem::QuotaRefused(full) => format!(
            "The mailbox keeps its quota of {}: {}. Or lower spec.quota.",
            quantity::text(mailbox.quota_in_force().into()),
            full_message(full)
        ),
        Problem::Login(problem) => {
            let what = login_message(problem, key, mailbox, &Which::Main);
            if mailbox.password.credential.is_some() {
                return format!("The last password that was known keeps working: {what}");
            }
            format!("The mailbox receives mail, but nobody can log in: {what}")
        }
        Problem::AppPassword(name, problem) => {
            let what = login_message(problem, key, mailbox, &Which::App(name.clone()));
            if mailbox.apps.get(name).is_some_and(|app| app.credential.is_some()) {
                return format!("App password {name}: the last one that was known keeps working: {what}");
            }
            format!("App password {name} opens nothing: {what}")
        }
    }
}

fn login_message(problem: &LoginProblem, key: &Key, mailbox: &Mailbox, which: &Which) -> String {
    let (name, entry) = match mailbox.fact.secret_of(which) {
        Some(secret) => (secret.name.to_string(), secret.key.to_string()),
        None => (generated_secret(&key.name), "password".to_owned()),
    };
    match problem {
        LoginProblem::NotFound => {
            format!(
                "there is no Secret {name} in namespace {}. Create it with the key {entry}.",
                key.namespace
            )
        }
        LoginProblem::KeyMissing => format!("Secret {name} has no key {entry}. Add it."),
        LoginProblem::Empty => {
            format!("the key {entry} of Secret {name} is empty or no line of text. Put a password there.")
        }
        LoginProblem::Conflict if *which != Which::Main => {
            format!("the Secret {name} was generated for another mailbox. Name another one.")
        }
        LoginProblem::Conflict => format!(
            "a Secret {name} exists that was not generated for this mailbox. Name it in spec.passwordSecret, or delete it."
        ),
        LoginProblem::Refused(words) => format!("the Secret {name} was refused: {words}"),
    }
}

impl Problem {
    /// What a store says, if it does not pass by itself.
    pub(super) fn of_store(failure: &StoreFailure) -> Option<Self> {
        match failure.reason.as_str() {
            "OtherOwner" => Some(Self::OtherOwner),
            "HasMail" => Some(Self::HasMail),
            "NothingToRestore" => Some(Self::NothingToRestore),
            _ => None,
        }
    }
}

/// Numbers are of the time when the message is written: what is wanted of the reader does not change with them.
fn full_message(full: &Full) -> String {
    match full {
        Full::Mailboxes { domain, most, present } => format!(
            "MailDomain {domain} may have {most} mailboxes (spec.limits.mailboxes), and had {present} when this one was looked at. Raise the limit, or delete a Mailbox that nobody needs"
        ),
        Full::Quota { domain, most, present, wanted } => format!(
            "it asks for {}, and the mailboxes of MailDomain {domain} may have {} together (spec.limits.totalQuota), of which {} were allocated when this one was looked at. Raise the limit, or lower the quota of others",
            quantity::text((*wanted).into()),
            quantity::text((*most).into()),
            quantity::text(*present)
        ),
    }
}

fn hindrance_message(hindrance: &Hindrance, key: &Key, mailbox: &Mailbox) -> String {
    let fact = &mailbox.fact;
    let wanted = fact.moving.wanted.as_deref().unwrap_or_default();
    let why = match hindrance {
        Hindrance::Taken(holder) => {
            format!("{holder} has {wanted}. Name another address, or free that one")
        }
        Hindrance::Kept(holder, until) => format!(
            "{wanted} was the address of Mailbox {holder}, whose mail it reaches until {}. Name another address, or wait",
            at(*until).0
        ),
        Hindrance::Retired(names) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            format!(
                "{wanted} was another mailbox's address, whose mail is kept as RetiredMailbox {}. Name another address, or have that mail purged (kubectl annotate retiredmailbox <name> mail.angiang.gov.vn/purge={wanted})",
                names.join(", ")
            )
        }
        Hindrance::Domain(Obstacle::DomainNotFound) => {
            format!("no MailDomain in namespace {} has the domain of {wanted}. Create one", key.namespace)
        }
        Hindrance::Domain(obstacle) => {
            format!(
                "the domain of {wanted} is not served. {}",
                obstacle_message(obstacle, key).trim_end_matches('.')
            )
        }
        Hindrance::Full(full) => full_message(full),
        Hindrance::OtherSystem(system) => format!(
            "the domain of {wanted} is served by MailSystem {system}, which does not have the mail. Name an address in a domain of the same system"
        ),
    };
    format!("The mailbox keeps the address {}: {why}.", fact.address)
}

fn forward_reason(problem: &ForwardProblem) -> &'static str {
    match problem {
        ForwardProblem::NotFound(_) => "ForwardNotFound",
        ForwardProblem::Closed(_) | ForwardProblem::GroupWaits(_) => "ForwardClosed",
        ForwardProblem::Loop(_) | ForwardProblem::GroupLoop(_) => "ForwardLoop",
        ForwardProblem::GroupLeaves(_) => "ForwardOutside",
    }
}

fn forward_message(problem: &ForwardProblem) -> String {
    let why = match problem {
        ForwardProblem::NotFound(to) => format!(
            "the system has no mailbox or group of the address {to}. Create it, or change spec.forward (to addresses outside, the owner's Sieve script can forward)"
        ),
        ForwardProblem::Closed(to) => {
            format!("the mailbox of {to} takes no mail. Open it, or change spec.forward")
        }
        ForwardProblem::GroupWaits(to) => {
            format!("the group {to} reaches nobody, or too many. Change its members, or spec.forward")
        }
        ForwardProblem::GroupLoop(to) => format!(
            "it would come back by way of the group {to}, which reaches this mailbox or one that forwards to it. Take that out of the group, or change spec.forward"
        ),
        ForwardProblem::GroupLeaves(to) => format!(
            "the group {to} has members outside the system. Name one without (to addresses outside, the owner's Sieve script can forward)"
        ),
        ForwardProblem::Loop(way) => {
            let way: Vec<_> = way.iter().map(ToString::to_string).collect();
            format!(
                "it would come back, or go on for too long: {}. Change spec.forward of one of them",
                way.join(", ")
            )
        }
    };
    format!("Mail stays in the mailbox and is not forwarded: {why}.")
}

fn member_reason(problem: &MemberProblem) -> &'static str {
    match problem {
        MemberProblem::NotFound(_) => "MemberNotFound",
        MemberProblem::Replaced(..) => "MemberReplaced",
        MemberProblem::Elsewhere(..) => "MemberElsewhere",
        MemberProblem::Itself(_) => "MemberOfItself",
    }
}

fn member_message(problem: &MemberProblem) -> String {
    match problem {
        MemberProblem::NotFound(address) => format!(
            "The mailbox is served without the member {address}: the system has no mailbox of this address. Create it, or remove the member."
        ),
        MemberProblem::Replaced(address, bound, holder) => format!(
            "The member {address} was Mailbox {bound}; the address is that of Mailbox {holder} now, which is given nothing unasked. Remove the member; add it again when it is gone from status.members, if the new one is meant."
        ),
        MemberProblem::Elsewhere(address, theirs, ours) => format!(
            "The member {address} has its mail in store shard {theirs}, this mailbox in shard {ours}: it does not see it in its folder list. What SendAs grants, it may do. Give it a mailbox in that shard, or make this mailbox anew with {address} as its first member."
        ),
        MemberProblem::Itself(address) => {
            format!("The member {address} is the mailbox itself. Remove it.")
        }
    }
}

fn estate_reason(estate: &Estate) -> &'static str {
    match estate {
        Estate::NoSource(_) => "RetiredMailboxNotFound",
        Estate::SourceTaken(..) => "RetiredMailboxTaken",
        Estate::Blocked(_) | Estate::Own | Estate::Heir(_) => "AddressRetired",
    }
}

fn estate_message(estate: &Estate, mailbox: &Mailbox) -> String {
    let address = &mailbox.fact.address;
    match estate {
        Estate::NoSource(name) => format!(
            "spec.restoreFrom names {name}, but this namespace has no RetiredMailbox of that name. Mail for {address} waits with its senders. Correct the name, or remove it to start empty."
        ),
        Estate::SourceTaken(name, key) => format!(
            "Mailbox {key} is older and restores RetiredMailbox {name} already. Mail for {address} waits with its senders. Remove spec.restoreFrom from one of them."
        ),
        Estate::Blocked(names) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            format!(
                "{address} was another mailbox's address, whose mail is kept as RetiredMailbox {0}; nobody reads it unasked. Mail for {address} waits with its senders. Is it the same owner: name the RetiredMailbox in spec.restoreFrom. Is it another: have it purged (kubectl annotate retiredmailbox <name> mail.angiang.gov.vn/purge={address}), then this mailbox starts empty.",
                names.join(", ")
            )
        }
        Estate::Own | Estate::Heir(_) => String::new(),
    }
}

pub(super) fn obstacle_reason(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::DomainNotFound => "DomainNotFound",
        Obstacle::SystemNotFound(_) => "SystemNotFound",
        Obstacle::SystemUnreadable(_) => "SystemUnreadable",
        Obstacle::SystemNotAllowed(_) => "SystemNotAllowed",
        Obstacle::DomainConflict(_) => "DomainConflict",
    }
}

pub(super) fn obstacle_message(obstacle: &Obstacle, key: &Key) -> String {
    match obstacle {
        Obstacle::DomainNotFound => {
            format!("No MailDomain in namespace {} has the domain of the address. Create one.", key.namespace)
        }
        Obstacle::SystemNotFound(system) => format!("There is no MailSystem {system}. Create it."),
        Obstacle::SystemUnreadable(system) => format!(
            "MailSystem {system} cannot be read: its conditions name the field. What its agents have goes on being served; changes wait."
        ),
        Obstacle::SystemNotAllowed(system) => {
            format!("MailSystem {system} does not list namespace {} in spec.tenantNamespaces.", key.namespace)
        }
        Obstacle::DomainConflict(winner) => {
            format!("MailDomain {winner} is older and has the domain. Delete one of them.")
        }
    }
}
