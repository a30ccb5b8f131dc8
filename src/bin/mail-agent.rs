//! The agent beside a mail daemon.
fn main() {}
