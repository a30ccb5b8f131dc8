//! Backups with the stock restic, in folders and on a real S3 server: what is damaged, locked, full, refused or silent has its
//! own reason, and nothing of the kind is ever a success.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod damage;
mod ends;
mod engine;
mod job;
mod objects;
mod order;
mod pod;
mod proof;
mod repository;
mod restore;
mod runs;
#[path = "../journal/s3.rs"]
#[allow(dead_code)]
mod s3;
mod storage;
mod volume;
