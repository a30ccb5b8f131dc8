//! The Helm chart: it renders, the API server takes all of it, and its end leaves the mail objects.

use crate::harness::{self, TestApi};

const CHART: &str = "charts/mail-operator";
const IMAGES: &str = "charts/mail-operator/ci/images-values.yaml";
const FULL: &str = "charts/mail-operator/ci/full-values.yaml";

fn helm(api: &TestApi, arguments: &[&str]) -> Result<String, String> {
    let output = api.try_run("helm", arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap()) } else { Err(said) }
}

/// Renders the chart as release `mail` in the test's namespace.
fn render(api: &TestApi, values: &[&str]) -> Result<String, String> {
    helm(api, &[&["template", "mail", CHART, "--namespace", &api.namespace], values].concat())
}

#[tokio::test]
async fn helm_finds_nothing_wrong_with_the_chart() {
    let api = harness::api("lint").await;
    for values in [vec![IMAGES], vec![IMAGES, FULL]] {
        let values: Vec<_> = values.into_iter().flat_map(|file| ["--values", file]).collect();
        helm(&api, &[&["lint", "--strict", CHART], values.as_slice()].concat()).unwrap();
    }
}

#[tokio::test]
async fn values_that_mean_nothing_are_refused() {
    let api = harness::api("values").await;
    for (wrong, said) in [
        ("replicaCount=3", "additional properties 'replicaCount' not allowed"),
        ("replicas=0", "minimum"),
        ("replicas=two", "got string, want integer"),
        ("images.dovecot=x", "additional properties 'dovecot' not allowed"),
        ("watchNamespace=An_Giang", "does not match pattern"),
        ("resources.claims=1", "additional properties 'claims' not allowed"),
    ] {
        let error = render(&api, &["--values", IMAGES, "--set", wrong]).unwrap_err();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    let error = render(&api, &[]).unwrap_err();
    assert!(error.contains("is not set: `images/build --values FILE` writes"), "{error}");
}

#[tokio::test]
async fn the_api_server_takes_every_object_of_the_chart_without_a_warning() {
    let api = harness::api("dry-run").await;
    api.run("kubectl", &["label", "namespace", &api.namespace, "pod-security.kubernetes.io/warn=restricted"]);
    for values in [vec!["--values", IMAGES], vec!["--values", IMAGES, "--values", FULL]] {
        let rendered = render(&api, &values).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &rendered).unwrap();
        let path = file.path().to_str().unwrap();
        let flags =
            ["--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict", "-f", path];
        let output = api.try_run("kubectl", &[&["apply"], flags.as_slice()].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let applied = String::from_utf8(output.stdout).unwrap();
        assert_eq!(applied.lines().count(), rendered.matches("\nkind: ").count(), "{applied}");
    }
}

#[tokio::test]
async fn the_service_monitor_is_made_on_demand_only() {
    let api = harness::api("monitor").await;
    assert!(!render(&api, &["--values", IMAGES]).unwrap().contains("ServiceMonitor"));
    let flags =
        ["--values", IMAGES, "--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus"];
    let rendered = render(&api, &flags).unwrap();
    assert!(
        rendered.contains("kind: ServiceMonitor") && rendered.contains("release: prometheus"),
        "{rendered}"
    );
}

#[tokio::test]
async fn uninstalling_leaves_the_definitions_and_the_mail_objects() {
    let api = harness::api("uninstall").await;
    let common = ["mail-operator", CHART, "--namespace", &api.namespace, "--values", IMAGES];
    // The definitions are there already, made by the harness.
    helm(&api, &[&["install", "--take-ownership"], common.as_slice()].concat()).unwrap();
    api.run("kubectl", &["-n", &api.namespace, "apply", "-f", "examples/demo.yaml"]);
    helm(&api, &[&["upgrade", "--set", "replicas=3"], common.as_slice()].concat()).unwrap();
    let replicas = ["get", "deployment", "mail-operator", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(api.run("kubectl", &[&["-n", &api.namespace], replicas.as_slice()].concat()), "3");

    helm(&api, &["uninstall", "mail-operator", "--namespace", &api.namespace]).unwrap();
    let left = api.run("kubectl", &["-n", &api.namespace, "get", "mail,deployments", "-o", "name"]);
    assert_eq!(left.lines().count(), 5, "{left}");
    assert!(!left.contains("deployment"), "{left}");
    helm(&api, &[&["install"], common.as_slice()].concat()).unwrap();
}
