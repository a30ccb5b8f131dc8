//! Figures of backups, read from the MailBackups' statuses when they are asked for: a restart forgets nothing, and one that
//! is gone has none.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::Store};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Registry,
};

use super::decide::{SUCCEEDED, latest};
use crate::{
    api::{MailBackup, MailBackupStatus, backup::Activity},
    backup::schedule::Schedule,
    operator::guarded::Guarded,
    quantity,
};

/// Where the MailBackups are, once they are watched.
#[derive(Debug, Default)]
pub struct Board(OnceLock<Store<Guarded<MailBackup>>>);

impl Board {
    /// Shows these.
    pub fn show(&self, backups: Store<Guarded<MailBackup>>) {
        // There is one controller, and it starts once.
        let _ = self.0.set(backups);
    }

    fn all(&self) -> Vec<Arc<Guarded<MailBackup>>> {
        self.0.get().map(Store::state).unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Labels {
    namespace: String,
    name: String,
}

/// A figure of a MailBackup, where there is one.
type Figure = fn(&MailBackup, &MailBackupStatus) -> Option<i64>;

const FIGURES: [(&str, &str, Figure); 6] = [
    (
        "last_success_timestamp_seconds",
        "When the latest successful backup had frozen the mail",
        |_, status| Some(status.last_success.as_ref()?.0.as_second()),
    ),
    ("last_verified_timestamp_seconds", "When a restore last proved a backup", |_, status| {
        Some(status.last_verified.as_ref()?.0.as_second())
    }),
    ("expected_interval_seconds", "The longest time between two backups by the schedule", |backup, _| {
        interval(backup, Timestamp::now())
    }),
    ("duration_seconds", "How long the latest successful backup took", |_, status| {
        let run = latest(status, Activity::Backup).filter(|run| run.reason == SUCCEEDED)?;
        Some(run.finished.as_ref()?.0.duration_since(run.started.as_ref()?.0).as_secs())
    }),
    ("snapshots", "How many snapshots there are", |_, status| Some(status.snapshots?.into())),
    ("size_bytes", "What the repositories take", |_, status| {
        i64::try_from(quantity::bytes(status.size.as_ref()?)?).ok()
    }),
];

/// The longest of the next intervals of the schedule, in seconds.
fn interval(backup: &MailBackup, now: Timestamp) -> Option<i64> {
    let pattern = backup.spec.schedule.as_deref().filter(|_| !backup.spec.suspend)?;
    Schedule::parse(pattern, &backup.spec.time_zone).ok()?.interval(now).map(|it| it.as_secs())
}

/// See the module.
#[derive(Debug)]
pub struct Figures(Arc<Board>);

impl Figures {
    /// Registers them.
    pub fn register(registry: &mut Registry, board: &Arc<Board>) {
        registry.register_collector(Box::new(Self(board.clone())));
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let all = self.0.all();
        encode(&mut encoder, all.iter().filter_map(|object| object.0.as_ref().ok()))
    }
}

fn encode<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    backups: impl Iterator<Item = &'a MailBackup>,
) -> Result<(), fmt::Error> {
    let labels = |backup: &MailBackup| Labels {
        namespace: backup.namespace().unwrap_or_default(),
        name: backup.name_any(),
    };
    let mut backups: Vec<_> = backups.map(|backup| (labels(backup), backup)).collect();
    backups.sort_by(|(a, _), (b, _)| a.cmp(b));
    let gauge = ConstGauge::<i64>::new(0).metric_type();
    for (name, help, figure) in FIGURES {
        let name = format!("backup_{name}");
        let mut metric = encoder.encode_descriptor(&name, help, None, gauge)?;
        for (labels, backup) in &backups {
            let status = backup.status.clone().unwrap_or_default();
            if let Some(value) = figure(backup, &status) {
                ConstGauge::new(value).encode(metric.encode_family(labels)?)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics, operator::backup::testing::backup};

    #[derive(Debug)]
    struct Fixed(Vec<MailBackup>);

    impl Collector for Fixed {
        fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
            super::encode(&mut encoder, self.0.iter())
        }
    }

    #[test]
    fn figures_come_from_status_alone() {
        let mut known = backup("schedule: '30 1 * * *'");
        let status = serde_json::json!({
            "lastSuccess": "2026-12-01T18:30:00Z", "snapshots": 3, "size": "5Gi",
            "history": [{"run": "r", "activity": "Backup", "reason": "Succeeded",
                         "started": "2026-12-01T18:30:00Z", "finished": "2026-12-01T18:31:30Z"}]});
        known.status = serde_json::from_value(status).unwrap();
        let mut registry = metrics::registry();
        registry.register_collector(Box::new(Fixed(vec![known])));
        let text = metrics::encode(&registry).unwrap();
        let of = "{namespace=\"mail\",name=\"nightly\"}";
        for line in [
            format!("mail_backup_last_success_timestamp_seconds{of} 1796149800"),
            format!("mail_backup_expected_interval_seconds{of} 86400"),
            format!("mail_backup_duration_seconds{of} 90"),
            format!("mail_backup_snapshots{of} 3"),
            format!("mail_backup_size_bytes{of} 5368709120"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("last_verified_timestamp_seconds{"), "nothing was proven:\n{text}");
    }
}
