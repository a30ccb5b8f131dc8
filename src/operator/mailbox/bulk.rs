//! Mailboxes that send in bulk: gateways are asked who they are, and the index suspends them. One question to each gateway,
//! however many mailboxes there are.

use k8s_openapi::jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::{
    agents::{self, Answer},
    controller::Controller,
    index::Key,
    outcome::Outcome,
};

/// Between questions. What is over its limit is refused meanwhile in any case.
const EVERY: Duration = Duration::from_secs(10);

impl Controller {
    /// Asks the gateways, if it is time.
    pub(super) fn ask_bulk(&mut self, now: Instant) {
        if self.bulk_due.is_none_or(|due| due > now) {
            return;
        }
        self.bulk_due = None;
        let gateways = self.agents.gateways();
        self.tasks.spawn(async move { Outcome::Bulk(agents::ask(gateways).await) });
    }

    /// Suspends whom gateways have seen.
    pub(super) fn bulk_seen(&mut self, answers: &[(Key, Option<Answer>)]) {
        self.bulk_due = Some(Instant::now() + EVERY);
        let now = Timestamp::now().as_second();
        for (pod, answer) in answers {
            let Some(system) = self.agents.system_of(pod) else { continue };
            for (address, seen) in answer.iter().flat_map(|answer| &answer.bulk) {
                if self.index.suspend_sending(&system, address, seen.resumed, now) {
                    self.metrics.bulk.inc();
                    tracing::warn!(%system, address, "a mailbox is suspended from sending: it sent in bulk");
                }
            }
        }
    }
}
