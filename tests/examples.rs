//! Every file of `examples/` is taken by a real API server as it is, nothing of it is dropped, and together they show
//! every field there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "apiserver/harness.rs"]
mod harness;

use std::{collections::BTreeSet, fs, path::Path};

use harness::TestApi;
use serde_json::Value;

/// Fields that `full.yaml` only names in a comment: they exclude one that it has, or name what a new system has none of.
const EXCLUDED: &[&str] = &["MailSystem.antivirus.signatureSecret", "Mailbox.restoreFrom"];
/// Kinds that nobody writes: the operator makes them.
const MADE: &[&str] = &["RetiredMailbox", "MailSnapshot"];

fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Applies a file as its reader would and checks that what is stored holds all that was written.
fn apply(api: &TestApi, file: &str, namespace: Option<&str>) {
    let namespace_flag: Vec<_> = namespace.into_iter().flat_map(|name| ["--namespace", name]).collect();
    let apply = ["apply", "--server-side", "--validate=strict", "-f", file];
    api.run("kubectl", &[apply.as_slice(), &namespace_flag].concat());
    for written in documents(file) {
        let name = written["metadata"]["name"].as_str().unwrap();
        let namespace = written["metadata"]["namespace"].as_str().or(namespace).unwrap_or("default");
        let kind = written["kind"].as_str().unwrap();
        let stored = api.run("kubectl", &["-n", namespace, "get", kind, name, "-o", "json"]);
        let stored: Value = serde_json::from_str(&stored).unwrap();
        assert_holds(&stored["spec"], &written["spec"], &format!("{file}: {kind} {name}"));
    }
}

fn assert_holds(stored: &Value, written: &Value, what: &str) {
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            for (key, value) in written {
                let found = stored.get(key).unwrap_or_else(|| panic!("{what}.{key} is not stored"));
                assert_holds(found, value, &format!("{what}.{key}"));
            }
        }
        (Value::Array(stored), Value::Array(written)) if stored.len() == written.len() => {
            for (n, (stored, written)) in stored.iter().zip(written).enumerate() {
                assert_holds(stored, written, &format!("{what}[{n}]"));
            }
        }
        (Value::Number(stored), Value::Number(written)) => {
            assert_eq!(stored.as_f64(), written.as_f64(), "{what}");
        }
        (_, Value::Null) => {}
        (stored, written) => assert_eq!(stored, written, "{what}"),
    }
}

/// The paths of a schema's fields; what users choose the keys of counts as one field.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(property, &path, found);
        found.insert(path);
    }
}

fn written_paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        written_paths(value, &path, found);
        found.insert(path);
    }
}

#[tokio::test]
async fn the_small_examples_work_in_any_namespace() {
    let api = harness::api("minimal").await;
    apply(&api, "examples/minimal.yaml", Some(&api.namespace));
    let api = harness::api("demo").await;
    apply(&api, "examples/demo.yaml", Some(&api.namespace));
    let api = harness::api("ldap").await;
    apply(&api, "examples/ldap.yaml", Some(&api.namespace));
    let api = harness::api("backup").await;
    apply(&api, "examples/backup.yaml", Some(&api.namespace));
}

#[tokio::test]
async fn the_full_example_names_its_namespaces() {
    let api = harness::api("full").await;
    apply(&api, "examples/full.yaml", None);
    let listed = api.run("kubectl", &["-n", "hoi-nong-dan", "get", "mail", "-o", "name"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

#[tokio::test]
async fn the_recovery_is_one_manifest() {
    let api = harness::api("recovery").await;
    apply(&api, "examples/recovery.yaml", None);
}

#[test]
fn the_full_example_shows_every_field() {
    let mut written = BTreeSet::new();
    // Backups and restores have a file of their own.
    for document in ["examples/full.yaml", "examples/backup.yaml"].into_iter().flat_map(documents) {
        written_paths(&document["spec"], document["kind"].as_str().unwrap(), &mut written);
    }
    let mut known = BTreeSet::new();
    for crd in mail_operator::api::crds() {
        let kind = crd.spec.names.kind.clone();
        if MADE.contains(&kind.as_str()) {
            continue;
        }
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        fields(&schema["openAPIV3Schema"]["properties"]["spec"], &kind, &mut known);
    }
    let missing: Vec<_> =
        known.iter().filter(|path| !written.contains(*path) && !EXCLUDED.contains(&path.as_str())).collect();
    assert!(missing.is_empty(), "examples/full.yaml and backup.yaml lack {missing:?}");
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files,
        ["backup.yaml", "demo.yaml", "full.yaml", "ldap.yaml", "minimal.yaml", "recovery.yaml"]
            .map(str::to_owned)
            .into()
    );
}
