//! Valkey, the memory of the spam filter and of the limits of sending: `valkey.conf`.
//!
//! Precedence: this file only. What Rspamd learned is kept on disk, at most a second of it is lost; when memory is full
//! what expires soonest goes first. Only Rspamd and the gateways reach the port (NetworkPolicy), so there is no password.

use super::{Files, files};

/// All files.
#[must_use]
pub fn render() -> Files {
    files([("valkey.conf", include_str!("templates/valkey/valkey.conf").to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::config::listing;

    #[test]
    fn valkey_files_are_these() {
        insta::assert_snapshot!(listing(&render()));
    }
}
