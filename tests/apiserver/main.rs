//! Tests against a real kube-apiserver: see `harness` for how it is started. One file for each subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addresses;
mod agent;
mod audit;
mod backup;
mod backup_runs;
mod cel;
mod chart;
mod directory;
mod dns;
mod etcd;
mod groups;
mod harness;
mod inventory;
mod kubectl;
mod kubectl_backup;
mod ldap;
mod lease;
mod life;
mod limits;
mod mailbox;
mod moving;
mod operator;
mod ownership;
mod rbac;
mod restore;
mod restored;
mod signing;
mod switchover;
mod system;
mod tenants;
mod tls;
mod unreadable;
mod usage;
