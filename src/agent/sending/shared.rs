//! Counts of all gateways, in Valkey: one script for each message, so that it is counted or refused as a whole. Counters go
//! two hours after their hour began; Valkey may forget them earlier when its memory is full, and then more passes.

use std::time::Duration;

use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::timeout;

use super::window::{Ask, Count, HOUR, place};

/// How long one count may take: a client waits for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// KEYS: of this hour and the one before, for the mailbox, its refusals and its domain. ARGV: the mailbox's limit, the
/// domain's (0 for none), thousandths of the hour before that count, and seconds to keep. Gives what became of the message
/// (0 passed, 1 refused, 2 refused for the domain) and the mailbox's refusals.
const SCRIPT: &str = r"
local part = tonumber(ARGV[3])
local function get(key) return tonumber(redis.call('GET', key) or '0') end
local function sum(at) return get(KEYS[at]) + math.floor(get(KEYS[at + 1]) * part / 1000) end
local function add(at) redis.call('INCR', KEYS[at]); redis.call('EXPIRE', KEYS[at], ARGV[4]) end
if sum(1) + 1 > tonumber(ARGV[1]) then add(3); return {1, sum(3)} end
local domain = tonumber(ARGV[2])
if domain > 0 and sum(5) + 1 > domain then return {2, 0} end
add(1)
if domain > 0 then add(5) end
return {0, 0}
";

/// Valkey; connected when it is first asked.
pub(super) struct Shared(Option<ConnectionManager>);

impl Shared {
    /// The Valkey at this host and port.
    pub(super) fn new(address: &str) -> Self {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_max_delay(Duration::from_secs(2));
        let client = Client::open(format!("redis://{address}/"));
        let connected = client.and_then(|client| ConnectionManager::new_lazy_with_config(client, config));
        Self(connected.inspect_err(|error| tracing::error!(%error, "Valkey cannot be used")).ok())
    }

    /// Counts a message; none if Valkey does not answer as agreed in time.
    pub(super) async fn count(&self, ask: &Ask<'_>, now: i64) -> Option<Count> {
        let mut connection = self.0.clone()?;
        let command = command(ask, now);
        let answer = timeout(PATIENCE, command.query_async::<(i64, u64)>(&mut connection)).await;
        match answer {
            Ok(Ok((0, _))) => Some(Count::Passed),
            Ok(Ok((1, refused))) => Some(Count::Refused(refused)),
            Ok(Ok((2, _))) => Some(Count::DomainRefused),
            Ok(Ok(other)) => {
                tracing::warn!(?other, "Valkey gave an answer that is not the script's");
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "messages are counted by this gateway alone");
                None
            }
            Err(_) => {
                tracing::warn!("messages are counted by this gateway alone: Valkey does not answer");
                None
            }
        }
    }
}

fn command(ask: &Ask, now: i64) -> redis::Cmd {
    let (hour, part) = place(now);
    let (mailbox, resumed) = (ask.mailbox, ask.resumed);
    let names = [
        format!("sent:{mailbox}:{resumed}"),
        format!("sending-refused:{mailbox}:{resumed}"),
        format!("sent-by-domain:{}", ask.domain),
    ];
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(2 * names.len());
    for name in names {
        command.arg(format!("{name}:{hour}")).arg(format!("{name}:{}", hour - 1));
    }
    command.arg(ask.limit).arg(ask.domain_limit.unwrap_or_default()).arg(part).arg(2 * HOUR);
    command
}
