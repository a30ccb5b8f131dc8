//! `BackupVerified`: what the MailBackups of a system say comes in, a condition goes out. Pure. It says True only if a restore
//! proved a backup not too long ago. Mail is served without it: it makes no system unready.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::{
    api::{MailBackup, backup::VerifyMode},
    backup::schedule::Schedule,
    conditions::{self, Finding},
};

/// The condition.
pub const VERIFIED: &str = "BackupVerified";

/// What is to be said at `now`. Of several MailBackups the one counts of which the best is to be said.
#[must_use]
pub fn finding(backups: &[MailBackup], now: Timestamp) -> Finding {
    let rank = |finding: &Finding| match finding.status {
        Some(true) => 2,
        Some(false) => 1,
        None => 0,
    };
    let all = backups.iter().filter(|backup| backup.metadata.deletion_timestamp.is_none());
    all.map(|backup| of(backup, now)).max_by_key(rank).unwrap_or_else(|| {
        Finding::unknown(
            VERIFIED,
            "NoBackup",
            "there is no MailBackup of this system: make one, see docs/backup.md",
        )
    })
}

fn of(backup: &MailBackup, now: Timestamp) -> Finding {
    let (name, spec) = (backup.name_any(), &backup.spec);
    if spec.verify.mode != VerifyMode::Restore {
        let message = format!("MailBackup {name} restores nothing for a proof (spec.verify.mode)");
        return Finding::unknown(VERIFIED, "NotRestored", message);
    }
    let status = backup.status.clone().unwrap_or_default();
    let own = conditions::get(&status.conditions, "Verified");
    if own.is_some_and(|own| own.status == "False") {
        let message = own.map(|own| own.message.clone()).unwrap_or_default();
        return Finding::no(VERIFIED, "VerifyFailed", format!("MailBackup {name}: {message}"));
    }
    let since = status.last_verified.as_ref().map(|at| at.0);
    let born = backup.creation_timestamp().map_or(now, |at| at.0);
    let overdue = limit(backup, now).is_some_and(|limit| now.duration_since(since.unwrap_or(born)) > limit);
    match since {
        Some(since) if !overdue => {
            let snapshot = status.verified_snapshot.as_deref().unwrap_or("a snapshot");
            let message =
                format!("MailBackup {name}: {snapshot} was restored and found to be whole at {since}");
            Finding::yes(VERIFIED, "Verified", message)
        }
        Some(since) => {
            let message = format!(
                "MailBackup {name}: the last proof was at {since}: its conditions say what keeps the next"
            );
            Finding::no(VERIFIED, "Overdue", message)
        }
        None if overdue => {
            let message =
                format!("MailBackup {name} has proven nothing yet, and should have: its conditions say why");
            Finding::no(VERIFIED, "Overdue", message)
        }
        None => {
            let message = format!("MailBackup {name} has proven nothing yet");
            Finding::unknown(VERIFIED, "NotRun", message)
        }
    }
}

/// How old the last proof may be: twice the interval of its schedule, or of the backups'. Without either nothing is expected.
fn limit(backup: &MailBackup, now: Timestamp) -> Option<SignedDuration> {
    let spec = &backup.spec;
    let pattern = spec.verify.schedule.as_ref().or(spec.schedule.as_ref())?;
    Schedule::parse(pattern, &spec.time_zone).ok()?.interval(now)?.checked_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::backup::testing::backup;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn word(spec: &str, status: &serde_json::Value) -> (Option<bool>, &'static str) {
        let mut backup = backup(spec);
        backup.status = serde_json::from_value(status.clone()).unwrap();
        let found = finding(&[backup], at("2026-12-05T00:00:00Z"));
        (found.status, found.reason)
    }

    #[test]
    fn a_proof_counts_for_twice_its_interval() {
        let daily = "schedule: '30 1 * * *'";
        let proven = |at: &str| serde_json::json!({"lastVerified": at, "verifiedSnapshot": "s"});
        assert_eq!(word(daily, &proven("2026-12-03T00:00:00Z")), (Some(true), "Verified"));
        assert_eq!(word(daily, &proven("2026-12-02T23:59:59Z")), (Some(false), "Overdue"));
        let weekly = "{schedule: '30 1 * * *', verify: {schedule: '0 3 * * 0'}}";
        assert_eq!(word(weekly, &proven("2026-11-21T00:00:01Z")), (Some(true), "Verified"));
        assert_eq!(
            word("{}", &proven("2020-01-01T00:00:00Z")),
            (Some(true), "Verified"),
            "nothing is expected"
        );
        assert_eq!(word(daily, &serde_json::json!({})), (Some(false), "Overdue"), "made long ago");
        assert_eq!(word("{}", &serde_json::json!({})), (None, "NotRun"));
        assert_eq!(word("{verify: {mode: None}}", &proven("2026-12-04T00:00:00Z")), (None, "NotRestored"));
        let failed = serde_json::json!({"lastVerified": "2026-12-04T00:00:00Z", "conditions": [
            {"type": "Verified", "status": "False", "reason": "RepositoryDamaged", "message": "m",
             "lastTransitionTime": "2026-12-04T00:00:00Z"}]});
        assert_eq!(word(daily, &failed), (Some(false), "VerifyFailed"));
        assert_eq!(finding(&[], at("2026-12-05T00:00:00Z")).reason, "NoBackup");
    }

    #[test]
    fn of_several_the_best_counts() {
        let mut good = backup("{}");
        let status = serde_json::json!({"lastVerified": "2026-12-04T00:00:00Z"});
        good.status = serde_json::from_value(status).unwrap();
        let bad = backup("schedule: '30 1 * * *'");
        assert_eq!(finding(&[bad, good, backup("{}")], at("2026-12-05T00:00:00Z")).status, Some(true));
    }
}
