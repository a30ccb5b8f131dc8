//! A password or token on its way through a codec.
//!
//! Raw bytes come in; they go out only where `expose` is called. It must not reach a log, so its
//! `Debug` shows nothing, and it has no `==`: secrets are compared by a hash or in constant time.

use bytes::Bytes;
use std::fmt;

/// Bytes that nobody prints.
#[derive(Clone, Default)]
pub struct Secret(Bytes);

impl Secret {
    /// Wraps the raw bytes of a password.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for hashing or for sending on.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_appear_in_debug_output() {
        assert_eq!(format!("{:?}", Secret::new(&b"hunter2"[..])), "Secret(…)");
    }
}
