//! # mail-operator
//!
//! Runs an organisation's mail on Kubernetes. Objects say what is wanted; the *operator* turns them into workloads and
//! into a directory; an *agent* beside each mail daemon answers the daemon's questions from that directory.
//!
//! ```text
//!  MailSystem ──▶ operator::system ──▶ workloads, Services, configuration       (fetch → validate → desired → apply → status)
//!  MailDomain ─┐
//!  Mailbox ────┼▶ operator::mailbox ─▶ directory shards (Secrets), DKIM keys    (events folded into an index)
//!  Secrets ────┘                             │ watch
//!                                            ▼
//!              agent::directory (memory, disk) ─▶ sockets that Postfix, nginx and Cyrus ask
//!
//!  client ─▶ Postfix ─▶ Rspamd (milter) ─▶ gate (milter: clamd, verdict) ─▶ queue ─▶ router (LMTP) ─▶ door ─▶ Cyrus
//!  reader ─▶ nginx ──(auth_http: who, which store)──▶ Cyrus
//! ```
//!
//! What it promises, in this order: an accepted message is never lost; mail keeps flowing without the operator and
//! without the API server; nothing unscanned is delivered unless that was chosen; deleting an object never destroys
//! mail by itself; status tells the truth.
//!
//! [`cli`] is `kubectl mail`. [`failover`] decides which of a shard's two stores is primary; [`journal`] is the format in which accepted mail is kept.
//!
//! [`backup`] has the engine of backups: when they are due, what they hold, restic, and whether they succeeded. The operator
//! (`operator::backup`, `operator::restore`) makes a Job for each piece of work, [`agent::job`] does it in the Job's pod, and
//! [`job`] is what they say to each other.
//!
//! [`api`], [`directory`], [`failover`], [`job`], [`journal::sealed`], [`signing`], [`wire`], [`operator::desired`] and [`operator::config`] are pure:
//! they import neither a client nor a socket. So is [`backup`], but for restic's process and a look at
//! object storage.

pub mod agent;
pub mod api;
pub mod backup;
pub mod cli;
pub mod conditions;
pub mod directory;
pub mod failover;
pub mod http;
pub mod images;
pub mod job;
pub mod journal;
pub mod metrics;
pub mod names;
pub mod operator;
pub mod quantity;
pub mod role;
pub mod shutdown;
pub mod signing;
pub mod store_login;
pub mod telemetry;
pub mod wire;
