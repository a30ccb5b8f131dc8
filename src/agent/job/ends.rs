//! How a Job ends: what is said of a failure, and whether trying again is of use.

use std::process::ExitCode;

use crate::{backup::restic::Failure, job::Failed};

/// It was not done, and may go better next time.
pub(super) const AGAIN: u8 = 1;
/// What it was told is not understood. Clap uses it as well.
pub(super) const NOT_UNDERSTOOD: u8 = 2;
/// It will not go better next time.
const HOPELESS: u8 = 3;

/// What passes by itself; the password does not become right.
const PASSING: [&str; 8] = [
    "Cancelled",
    "Failed",
    "Killed",
    "NotListed",
    "RepositoryLocked",
    "Stalled",
    "StoreUnavailable",
    "Unreachable",
];

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { reason: failure.reason.to_string(), message: failure.message }
    }
}

/// The exit code of a work that ended so.
pub(super) fn code(failed: Option<&Failed>) -> u8 {
    match failed {
        None => 0,
        Some(failed) if PASSING.contains(&failed.reason.as_str()) => AGAIN,
        Some(_) => HOPELESS,
    }
}

/// Ends a Job whose work came to this. One that was asked to end, and failed for it, says nothing: it is done again.
pub(super) fn end(
    asked_to: bool,
    failed: Option<&Failed>,
    say: impl FnOnce() -> std::io::Result<()>,
) -> ExitCode {
    if let Some(Failed { reason, message }) = failed {
        tracing::error!(reason, message, "it was not done");
        if asked_to {
            return AGAIN.into();
        }
    }
    match say() {
        Ok(()) => code(failed).into(),
        // Nobody knows what came of it.
        Err(error) => {
            tracing::error!(%error, "the result cannot be written");
            AGAIN.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::restic::Reason;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let code_of = |reason| code(Some(&Failure::new(reason, "x").into()));
        assert_eq!(code(None), 0);
        for reason in
            [Reason::Unreachable, Reason::Stalled, Reason::RepositoryLocked, Reason::Killed, Reason::Failed]
        {
            assert_eq!(code_of(reason), AGAIN, "{reason}");
        }
        for reason in
            [Reason::WrongPassword, Reason::RepositoryMissing, Reason::NoSpace, Reason::CredentialsRefused]
        {
            assert_eq!(code_of(reason), HOPELESS, "{reason}");
        }
    }

    #[test]
    fn who_was_asked_to_end_says_nothing_unless_it_was_done() {
        let failed = Failed { reason: "WrongPassword".into(), message: String::new() };
        let mut said = 0;
        let mut ends = |asked_to, failed| {
            let _ = end(asked_to, failed, || {
                said += 1;
                Ok(())
            });
            said
        };
        assert_eq!(ends(true, Some(&failed)), 0);
        assert_eq!(ends(true, None), 1);
        assert_eq!(ends(false, Some(&failed)), 2);
    }
}
