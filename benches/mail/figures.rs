//! How figures are summed up and shown.

use std::time::Duration;

/// Prints one row of the table.
pub(crate) fn row(figure: &str, value: &str) {
    println!("| {figure} | {value} |");
}

/// Durations of one kind.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Half of them and 99 in a hundred took no longer than this.
    pub(crate) fn quantiles(&mut self) -> String {
        self.0.sort_unstable();
        let quantile = |q: f64| self.0[((self.0.len() as f64 - 1.0) * q).round() as usize].as_millis();
        format!("p50 {} ms, p99 {} ms", quantile(0.5), quantile(0.99))
    }
}
