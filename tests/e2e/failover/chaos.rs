//! Many rounds of faults by chance: `make chaos`. The seed is printed, and repeats the order of the faults.
//!
//!     CHAOS_ROUNDS=50 CHAOS_SEED=7 make chaos

use std::{env, str::FromStr, time::SystemTime};

use super::{
    SERVES,
    nodes::primary_alone,
    pair::{self, Pair, pod},
    pods::{kill_agent, kill_cyrus, stop_agent},
    roles::Roles,
    story::{Cast, Lost, say, served_again},
};
use crate::local::Away;

/// What is done to the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Switchover,
    DeletePrimary,
    DeleteReplica,
    KillCyrus,
    KillAgent,
    StopAgent,
    KillCyrusWithoutApi,
    CutPrimary,
    PowerOffPrimary,
    LosePrimaryVolume,
    LoseReplicaVolume,
}

const FAULTS: [Fault; 11] = [
    Fault::Switchover,
    Fault::DeletePrimary,
    Fault::DeleteReplica,
    Fault::KillCyrus,
    Fault::KillAgent,
    Fault::StopAgent,
    Fault::KillCyrusWithoutApi,
    Fault::CutPrimary,
    Fault::PowerOffPrimary,
    Fault::LosePrimaryVolume,
    Fault::LoseReplicaVolume,
];

impl Fault {
    const fn takes_a_node(self) -> bool {
        matches!(self, Self::CutPrimary | Self::PowerOffPrimary)
    }

    /// Does it, and undoes what does not undo itself. The epoch above which both stores have to have everything again.
    async fn strike(self, pair: &Pair, what: &str, roles: Roles, node: &str) -> u64 {
        let _away = match self {
            Self::KillCyrusWithoutApi => Some(Away::api()),
            Self::CutPrimary => Some(Away::network_of(node)),
            Self::PowerOffPrimary => Some(Away::power_of(node)),
            _ => None,
        };
        match self {
            Self::Switchover => pair.order_switchover(roles).await,
            Self::DeletePrimary => pair.delete_now(&pod(roles.primary)).await,
            Self::KillCyrus | Self::KillCyrusWithoutApi => kill_cyrus(pair, roles.primary).await,
            Self::KillAgent => kill_agent(pair, roles.primary).await,
            Self::StopAgent => {
                stop_agent(pair, roles.primary, roles.epoch).await;
            }
            Self::LosePrimaryVolume => pair.lose_volume(roles.primary).await,
            Self::CutPrimary | Self::PowerOffPrimary => {}
            Self::DeleteReplica | Self::LoseReplicaVolume => {
                return self.strike_replica(pair, roles).await;
            }
        }
        served_again(pair, what, roles).await.1 - 1
    }

    /// The primary goes on in its epoch.
    async fn strike_replica(self, pair: &Pair, roles: Roles) -> u64 {
        let name = pod(roles.replica());
        let uid = pair.look_up(&name).await.unwrap().uid;
        if self == Self::LoseReplicaVolume {
            pair.lose_volume(roles.replica()).await;
        } else {
            pair.delete_now(&name).await;
        }
        pair.replaced(&name, &uid).await;
        assert_eq!(pair.serves_above(roles.epoch - 1, SERVES).await, (roles.primary, roles.epoch));
        roles.epoch - 1
    }
}

/// Numbers that look like chance and come again with their seed (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The rest of a division by a small number fits.
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
#[ignore = "hours: make chaos"]
fn whatever_is_done_to_the_stores_round_by_round_no_mail_is_lost() {
    let rounds: usize = setting("CHAOS_ROUNDS").unwrap_or(20);
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let seed: u64 = setting("CHAOS_SEED").unwrap_or(now);
    say(format!("CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}"));
    pair::run(async |pair| {
        let (mut chance, mut cast) = (Chance(seed), Cast::new(pair).await);
        for round in 1..=rounds {
            let fault = FAULTS[chance.below(FAULTS.len())];
            let what = format!("round {round} of {rounds}, {fault:?}");
            say(&what);
            cast.delete_another(pair).await;
            let node = if fault.takes_a_node() { primary_alone(pair).await.1 } else { String::new() };
            let lost = if fault.takes_a_node() { Lost::Node(&node) } else { Lost::Nothing };
            let strike = async |roles| fault.strike(pair, &what, roles, &node).await;
            cast.under_load((pair, &what, lost), strike).await;
        }
    });
}

#[test]
fn a_seed_gives_the_same_faults_again_and_every_fault_has_its_turn() {
    let draw = |seed| {
        let mut chance = Chance(seed);
        (0..200).map(|_| FAULTS[chance.below(FAULTS.len())]).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    assert!(FAULTS.iter().all(|fault| draw(7).contains(fault)));
}
