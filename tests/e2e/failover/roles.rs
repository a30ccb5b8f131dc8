//! What the two stores say of their roles, and when that is as it should be. Values only.

use mail_operator::role::{Phase, Report};

/// The answers of both stores, by ordinal.
pub(crate) type Reports = [Result<Report, String>; 2];

/// One store serves, the other has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Ordinal of the store that serves.
    pub(crate) primary: usize,
    /// Its epoch.
    pub(crate) epoch: u64,
}

impl Roles {
    /// Ordinal of the store that follows.
    pub(crate) const fn replica(self) -> usize {
        1 - self.primary
    }

    /// What both say comes to, if it is as it should be: the primary has registered that the replica has everything, and
    /// the replica was told so in the same epoch.
    pub(crate) fn of(reports: &Reports) -> Option<Self> {
        let [Ok(zero), Ok(one)] = reports else { return None };
        let fits = |primary: &Report, replica: &Report| {
            let serves = primary.phase == Phase::Primary && primary.serving && primary.in_sync;
            let follows = replica.phase == Phase::InSync && !replica.serving && replica.in_sync;
            serves && follows && primary.epoch == replica.epoch
        };
        match (fits(zero, one), fits(one, zero)) {
            (true, _) => Some(Self { primary: 0, epoch: zero.epoch }),
            (_, true) => Some(Self { primary: 1, epoch: one.epoch }),
            _ => None,
        }
    }
}

/// The ordinal and the epoch of a store that serves in an epoch later than `above`.
pub(crate) fn serving(reports: &Reports, above: u64) -> Option<(usize, u64)> {
    let serves = |(ordinal, report): (usize, &Result<Report, String>)| {
        let report = report.as_ref().ok()?;
        (report.serving && report.phase == Phase::Primary && report.epoch > above)
            .then_some((ordinal, report.epoch))
    };
    reports.iter().enumerate().find_map(serves)
}
