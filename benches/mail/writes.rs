//! Writes to the API, as the API server counts them.

use std::{fmt, ops::Sub};

use kube::Client;

/// What changes objects, or could: a server-side apply that changes nothing costs the API server as much. Updates (PUT) of
/// these kinds are those of Kubernetes' own controllers.
const VERBS: [&str; 4] = ["POST", "PATCH", "DELETE", "APPLY"];
/// What the operator writes besides Mailboxes and Secrets.
const OTHERS: [&str; 11] = [
    "maildomains",
    "mailsystems",
    "configmaps",
    "services",
    "serviceaccounts",
    "networkpolicies",
    "poddisruptionbudgets",
    "statefulsets",
    "deployments",
    "roles",
    "rolebindings",
];

/// Counts since the API server started. Those of the operator are the difference of two readings, less what the bench
/// wrote itself.
#[derive(Clone, Copy)]
pub(crate) struct Writes {
    /// To Mailboxes, status included.
    pub(crate) mailboxes: u64,
    /// To Secrets: passwords and directory.
    pub(crate) secrets: u64,
    /// To everything else of ours.
    pub(crate) others: u64,
}

impl Writes {
    /// Reads the API server's metrics.
    pub(crate) async fn now(client: &Client) -> Self {
        let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
        let text = client.request_text(request).await.expect("the API server's metrics");
        Self {
            mailboxes: sum(&text, &["mailboxes"]),
            secrets: sum(&text, &["secrets"]),
            others: sum(&text, &OTHERS),
        }
    }

    pub(crate) const fn all(self) -> u64 {
        self.mailboxes + self.secrets + self.others
    }

    /// Of each kind, for each of `count` mailboxes.
    pub(crate) fn each(self, count: usize) -> String {
        let each = |writes: u64| writes as f64 / count as f64;
        format!("{:.2} ({self})", each(self.all()))
    }
}

impl Sub for Writes {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            mailboxes: self.mailboxes - before.mailboxes,
            secrets: self.secrets - before.secrets,
            others: self.others - before.others,
        }
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailboxes {}, Secrets {}, others {}", self.mailboxes, self.secrets, self.others)
    }
}

fn sum(text: &str, resources: &[&str]) -> u64 {
    let is = |line: &str, label: &str, values: &[&str]| {
        values.iter().any(|value| line.contains(&format!(",{label}=\"{value}\"")))
    };
    text.lines()
        .filter(|line| line.starts_with("apiserver_request_total{"))
        .filter(|line| is(line, "verb", &VERBS) && is(line, "resource", resources))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}
