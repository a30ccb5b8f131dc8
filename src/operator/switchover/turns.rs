//! Changes of who serves, as Events. Pure.

use std::collections::BTreeMap;

use super::Shard;
use crate::api::MailSystemStatus;

/// Who served each shard last, and in which epoch.
pub type Servers = BTreeMap<u32, (String, u64)>;

/// Another store serves, or the same in another epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The Event's reason.
    pub reason: &'static str,
    /// Tells it from the Event of another turn.
    pub action: String,
    /// The sentence.
    pub note: String,
    /// Nobody may have wanted it.
    pub warning: bool,
}

/// Who served, as status says: what an operator that starts does not know otherwise.
#[must_use]
pub fn servers(status: Option<&MailSystemStatus>) -> Servers {
    let shards = status.into_iter().flat_map(|status| &status.shards);
    shards.filter_map(|shard| Some((shard.shard, (shard.primary.clone()?, shard.epoch?)))).collect()
}

/// What changed, and from now on counts as known. Who serves for the first time is told, too.
pub fn turns(known: &mut Servers, shards: &[Shard]) -> Vec<Turn> {
    let mut turns = Vec::new();
    for shard in shards {
        let Some((store, report)) = shard.primary() else { continue };
        let now = (store.pod.clone(), report.epoch);
        let before = known.insert(shard.number, now.clone());
        if before.as_ref() != Some(&now) {
            turns.push(turn(shard, before, now, report.stale_takeover.is_some()));
        }
    }
    turns
}

fn turn(shard: &Shard, before: Option<(String, u64)>, (pod, epoch): (String, u64), stale: bool) -> Turn {
    let number = shard.number;
    let action = format!("Shard{number}Epoch{epoch}");
    let (reason, warning, note) = match before {
        None => {
            ("PrimaryElected", false, format!("{pod} serves shard {number}, in epoch {epoch}, as the first"))
        }
        Some((old, ended)) if old == pod => (
            "PrimaryRestarted",
            true,
            format!("{pod} serves shard {number} again, in epoch {epoch}: it had stopped in epoch {ended}"),
        ),
        Some((old, ended)) => {
            // One that made way answers, and says so; so does one that was told to end, for as long as it is there.
            let gone = shard.beside(&pod).is_none_or(|store| store.said.is_none());
            let note =
                format!("{pod} serves shard {number} in epoch {epoch}, {old} served it in epoch {ended}");
            ("PrimaryChanged", gone || stale, note)
        }
    };
    Turn { reason, action, note, warning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operator::switchover::observe::tests::{report, shard},
        role::Phase,
    };

    #[test]
    fn each_change_is_told_once_with_both_epochs() {
        let mut known = Servers::new();
        let mut told = |said: [Option<(u64, Phase)>; 2]| {
            let [first, second] = said;
            let first = first.map(|(epoch, phase)| report(0, epoch, phase));
            let second = second.map(|(epoch, phase)| report(1, epoch, phase));
            let told = turns(&mut known, &[shard([first, second])]);
            told.into_iter().map(|turn| (turn.reason, turn.warning, turn.note)).collect::<Vec<_>>()
        };
        let first = told([Some((2, Phase::Primary)), Some((0, Phase::Seeding))]);
        assert_eq!(first[0].0, "PrimaryElected");
        assert!(told([Some((2, Phase::Primary)), Some((2, Phase::InSync))]).is_empty());
        assert!(told([None, Some((2, Phase::Waiting))]).is_empty(), "nobody serves");
        let failover = told([None, Some((3, Phase::Primary))]);
        let note = "demo-store-0-1 serves shard 0 in epoch 3, demo-store-0-0 served it in epoch 2";
        assert_eq!(failover, [("PrimaryChanged", true, note.to_owned())]);
        let again = told([Some((3, Phase::CatchingUp)), Some((5, Phase::Primary))]);
        assert_eq!((again[0].0, again[0].1), ("PrimaryRestarted", true));
        let switched = told([Some((6, Phase::Primary)), Some((5, Phase::Waiting))]);
        assert_eq!((switched[0].0, switched[0].1), ("PrimaryChanged", false));
    }

    #[test]
    fn what_happened_while_no_operator_ran_is_told_by_the_status() {
        let status: MailSystemStatus = serde_json::from_value(serde_json::json!({
            "shards": [{"shard": 0, "primary": "demo-store-0-0", "epoch": 2}, {"shard": 1}]
        }))
        .unwrap();
        let mut known = servers(Some(&status));
        assert_eq!(known, [(0, ("demo-store-0-0".to_owned(), 2))].into());
        let told = turns(&mut known, &[shard([None, Some(report(1, 3, Phase::Primary))])]);
        assert_eq!(told[0].reason, "PrimaryChanged");
        assert_eq!(servers(None), Servers::new());
    }
}
