//! Quantiles, and counters read from where they are kept.

use std::time::Duration;

use kube::Client;

/// Prints one row of the table.
pub(crate) fn row(figure: &str, value: &str) {
    println!("| {figure} | {value} |");
}

/// The quantile `q` of these durations, in milliseconds.
pub(crate) fn quantile(times: &mut [Duration], q: f64) -> u128 {
    times.sort_unstable();
    let index = ((times.len() as f64 - 1.0) * q).round() as usize;
    times[index].as_millis()
}

/// Requests that changed objects of our concern since the API server started: those of the operator and its agents are
/// the difference of two readings less what the bench itself wrote.
pub(crate) async fn api_writes(client: &Client) -> u64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let text = client.request_text(request).await.expect("the API server's metrics");
    text.lines()
        .filter(|line| line.starts_with("apiserver_request_total{"))
        .filter(|line| {
            ["POST", "PUT", "PATCH", "DELETE", "APPLY"]
                .iter()
                .any(|v| line.contains(&format!("verb=\"{v}\"")))
        })
        .filter(|line| {
            ["mailboxes", "maildomains", "mailsystems", "secrets"]
                .iter()
                .any(|r| line.contains(&format!("resource=\"{r}\"")))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}
