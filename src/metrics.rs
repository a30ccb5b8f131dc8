//! Metrics in the `OpenMetrics` text format.
//!
//! A registry comes in, text goes out. No metric has a label per mailbox: there may be 100,000.

use std::fmt;

use prometheus_client::{metrics::info::Info, registry::Registry};

/// Media type of what [`encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry whose metrics begin with `mail_`, with the release in it.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("mail");
    registry.register("build", "The release that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry
}

/// The metrics as text.
///
/// # Errors
/// Only if a metric of our own cannot be written.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_begins_with_mail_and_the_release_is_told() {
        let text = encode(&registry()).unwrap();
        assert!(text.contains("mail_build_info{version=\""), "{text}");
    }
}
