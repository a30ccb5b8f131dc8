//! What becomes of a message: a pure function of what is known of it. `Reply` texts are ASCII, since clients without
//! SMTPUTF8 (RFC 6531) read them: Vietnamese without its marks, then English.

use super::sender::Objection;
use crate::{
    api::system::{OnDetection, OnFailure},
    wire::reply::Reply,
};

/// How clamd's names begin for what it cannot look into: nothing was found, and nothing can be.
const ENCRYPTED: &str = "Heuristics.Encrypted.";

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From another server: Rspamd has seen it before us.
    Outside,
    /// From a user's program, which logged in: Rspamd has seen it before us.
    Submission,
    /// From a store, for Sieve: Rspamd has seen it before us.
    Store,
    /// Made by Postfix itself (bounces, notifications): only we see it.
    Internal,
}

/// What clamd says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Nothing was found, in so many words.
    Clean,
    /// A signature of this name was found.
    Infected(String),
    /// No clamd could judge the message, for this reason.
    Unavailable(String),
}

/// What the platform team chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For messages that cannot be scanned.
    pub on_failure: OnFailure,
    /// For messages in which something was found.
    pub on_detection: OnDetection,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It passes.
    Accept,
    /// It passes without having been scanned, as the platform team chose.
    AcceptUnscanned,
    /// The sender is to try again: Rspamd has not judged it.
    DeferUnjudged,
    /// The sender is to try again: clamd has not judged it.
    DeferUnscanned,
    /// It is refused: this signature was found.
    Reject(String),
    /// It is kept in the hold queue: this signature was found.
    Quarantine(String),
    /// Whoever sends it may not send it so.
    Object(Objection),
}

/// Decides. `judged` says whether Rspamd's verdict with our token is there.
///
/// Malware in what Postfix or Sieve made is not refused, for nobody would get it back: it is held instead.
#[must_use]
pub fn decide(origin: Origin, judged: bool, scan: &Scan, policy: Policy) -> Decision {
    match (scan, origin) {
        (Scan::Infected(name), Origin::Outside | Origin::Submission)
            if policy.on_detection == OnDetection::Reject =>
        {
            Decision::Reject(name.clone())
        }
        (Scan::Infected(name), _) => Decision::Quarantine(name.clone()),
        (_, Origin::Outside | Origin::Submission | Origin::Store) if !judged => Decision::DeferUnjudged,
        (Scan::Clean, _) => Decision::Accept,
        (Scan::Unavailable(_), _) => match policy.on_failure {
            OnFailure::Defer => Decision::DeferUnscanned,
            OnFailure::Accept => Decision::AcceptUnscanned,
        },
    }
}

impl Decision {
    /// What the client is told, if the message does not pass.
    #[must_use]
    pub fn refusal(&self) -> Option<Reply> {
        match self {
            Self::Accept | Self::AcceptUnscanned | Self::Quarantine(_) => None,
            Self::Object(objection) => Some(objection.reply()),
            Self::DeferUnjudged => Some(Reply::new(
                451,
                7,
                1,
                "Chua kiem tra duoc thu rac, xin gui lai sau. Spam check unavailable, try again later",
            )),
            Self::DeferUnscanned => Some(Reply::new(
                451,
                7,
                1,
                "Chua quet duoc virus, xin gui lai sau. Virus check unavailable, try again later",
            )),
            Self::Reject(name) if name.starts_with(ENCRYPTED) => Some(Reply::new(
                554,
                7,
                1,
                "Tu choi: tep dat mat khau khong quet duoc virus. Refused: a file with a password cannot be scanned",
            )),
            Self::Reject(name) => {
                let text = format!("Tu choi: thu co ma doc ({name}). Refused: malware found ({name})");
                Some(Reply::new(554, 7, 1, &text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: [Origin; 4] = [Origin::Outside, Origin::Submission, Origin::Store, Origin::Internal];
    const FAILURES: [OnFailure; 2] = [OnFailure::Defer, OnFailure::Accept];
    const DETECTIONS: [OnDetection; 2] = [OnDetection::Reject, OnDetection::Quarantine];

    fn scans() -> [Scan; 3] {
        [Scan::Clean, Scan::Infected("X".into()), Scan::Unavailable("away".into())]
    }

    /// Every combination, with what was decided.
    fn table() -> Vec<(Origin, bool, Scan, Policy, Decision)> {
        let mut rows = Vec::new();
        for origin in ORIGINS {
            for judged in [true, false] {
                for scan in scans() {
                    for on_failure in FAILURES {
                        for on_detection in DETECTIONS {
                            let policy = Policy { on_failure, on_detection };
                            let decision = decide(origin, judged, &scan, policy);
                            rows.push((origin, judged, scan.clone(), policy, decision));
                        }
                    }
                }
            }
        }
        rows
    }

    #[test]
    fn nothing_passes_that_was_not_judged_and_scanned_unless_that_was_chosen() {
        for (origin, judged, scan, policy, decision) in table() {
            let complete = judged || origin == Origin::Internal;
            assert_eq!(
                decision == Decision::Accept,
                complete && scan == Scan::Clean,
                "{origin:?} {judged} {scan:?}"
            );
            if decision == Decision::AcceptUnscanned {
                assert!(
                    complete
                        && policy.on_failure == OnFailure::Accept
                        && matches!(scan, Scan::Unavailable(_))
                );
            }
        }
    }

    #[test]
    fn what_was_found_is_refused_or_held_and_never_deferred() {
        for (origin, _, scan, policy, decision) in table() {
            if let Scan::Infected(name) = scan {
                let refused = policy.on_detection == OnDetection::Reject
                    && matches!(origin, Origin::Outside | Origin::Submission);
                let expected = if refused { Decision::Reject(name) } else { Decision::Quarantine(name) };
                assert_eq!(decision, expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_scanned_is_not_called_malware() {
        let text = |name: &str| {
            let reply = Decision::Reject(name.into()).refusal().unwrap();
            String::from_utf8(reply.lines()[0].to_vec()).unwrap()
        };
        assert!(text("Heuristics.Encrypted.Zip").contains("password"));
        assert!(text("Eicar").contains("malware found (Eicar)"));
    }

    #[test]
    fn refusals_are_ascii_and_of_the_right_class() {
        for (.., decision) in table() {
            let code = decision.refusal().map(|reply| {
                assert!(reply.lines().iter().all(|line| line.is_ascii()));
                reply.code()
            });
            let expected = match decision {
                Decision::Reject(_) => Some(554),
                Decision::DeferUnjudged | Decision::DeferUnscanned => Some(451),
                Decision::Accept | Decision::AcceptUnscanned | Decision::Quarantine(_) => None,
                Decision::Object(_) => unreachable!("a matter of senders"),
            };
            assert_eq!(code, expected);
        }
    }
}
