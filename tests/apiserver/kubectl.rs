//! What people see with kubectl: the category, the columns, no warnings.

use crate::harness;

#[tokio::test]
async fn get_mail_lists_every_kind_with_its_columns() {
    let api = harness::api("columns").await;
    api.run("kubectl", &["-n", &api.namespace, "apply", "-f", "examples/demo.yaml"]);
    let listed = api.run("kubectl", &["-n", &api.namespace, "get", "mail"]);
    let titles = [
        "HOSTNAME READY REASON REPLICATED MAILBOXES BACKUP AGE",
        "DOMAIN ORGANISATION MAILBOXES ALLOCATED READY REASON DNS AGE",
    ];
    let lines: Vec<String> =
        listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for title in titles.into_iter().chain(["ADDRESS TYPE UNIT STATE USED QUOTA LASTLOGIN READY REASON AGE"]) {
        assert!(lines.contains(&format!("NAME {title}")), "{title} is not in:\n{listed}");
    }
    let row = "mailbox.mail.angiang.gov.vn/chi-le chi.le@angiang.gov.vn Person Sở Nội vụ Suspended 2Gi";
    assert!(lines.iter().any(|line| line.starts_with(row)), "{listed}");
    let selector = "spec.address=chi.le@angiang.gov.vn";
    let found = api.run(
        "kubectl",
        &["-n", &api.namespace, "get", "mailbox", "-o", "name", "--field-selector", selector],
    );
    assert_eq!(found.trim(), "mailbox.mail.angiang.gov.vn/chi-le");
}

#[tokio::test]
async fn the_definitions_are_taken_without_a_warning() {
    let api = harness::api("warnings").await;
    let output = api.try_run(
        "kubectl",
        &["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "crds"],
    );
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
