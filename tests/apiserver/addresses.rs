//! The list of official addresses, printed by the plugin itself.

use std::process::Command;

use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use mail_operator::api::MailGroup;
use serde_json::{Value, json};

use crate::{
    harness::{self, TestApi},
    mailbox::{mailboxes, put},
};

/// What `kubectl mail addresses` prints.
fn list(api: &TestApi, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-mail"))
        .arg("addresses")
        .args(arguments)
        .env("KUBECONFIG", api.kubeconfig())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A Mailbox as the operator serves it.
async fn served(api: &TestApi, name: &str, spec: Value) {
    let status = json!({"status": {"address": spec["address"]}});
    put(api, "Mailbox", name, spec).await;
    mailboxes(api).patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// A MailGroup as the operator serves it.
async fn served_group(api: &TestApi, name: &str, spec: Value) {
    let groups: Api<MailGroup> = Api::namespaced(api.client.clone(), &api.namespace);
    let status = json!({"status": {"address": spec["address"], "reaches": 1}});
    let group = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailGroup", "metadata": {"name": name}, "spec": spec});
    groups.create(&PostParams::default(), &serde_json::from_value(group).unwrap()).await.unwrap();
    groups.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

#[tokio::test]
async fn the_list_has_what_is_listed_in_each_form_and_nothing_else() {
    let api = harness::api("addresses").await;
    let an = json!({"address": "an@x.vn", "displayName": "Nguyễn Văn An", "unit": "Sở Nội vụ, tỉnh",
        "position": "Chuyên viên", "listed": true, "aliases": ["hidden-alias@x.vn"]});
    served(&api, "an", an).await;
    served(&api, "binh", json!({"address": "binh@x.vn", "displayName": "Trần Thanh Bình"})).await;
    put(&api, "Mailbox", "chi", json!({"address": "chi@x.vn", "listed": true})).await;
    for listed in [true, false] {
        let spec =
            json!({"address": format!("nhom-{listed}@x.vn"), "members": ["an@x.vn"], "listed": listed});
        served_group(&api, &format!("nhom-{listed}"), spec).await;
    }

    let here = ["-n", api.namespace.as_str()];
    let listed: Value = serde_json::from_str(&list(&api, &here)).unwrap();
    let expected = json!([{"address": "an@x.vn", "displayName": "Nguyễn Văn An", "unit": "Sở Nội vụ, tỉnh",
        "position": "Chuyên viên"}]);
    let nameless = json!({"address": "nhom-true@x.vn", "displayName": null, "unit": null, "position": null});
    let expected: Vec<_> = std::iter::once(&nameless).chain(expected.as_array().unwrap()).collect();
    assert_eq!(listed, json!(expected), "binh is not listed, chi is not served");
    let table = list(&api, &[&here[..], &["-o", "csv"]].concat());
    assert_eq!(
        table,
        "\u{feff}displayName,position,unit,address\r\n,,,nhom-true@x.vn\r\nNguyễn Văn An,Chuyên viên,\"Sở Nội vụ, tỉnh\",an@x.vn\r\n"
    );
    let cards = list(&api, &[&here[..], &["-o", "vcard"]].concat());
    assert!(cards.contains("FN:Nguyễn Văn An\r\n") && cards.contains("ORG:Sở Nội vụ\\, tỉnh\r\n"), "{cards}");
    for text in [table, cards, list(&api, &["-A"])] {
        assert!(text.contains("an@x.vn"), "{text}");
        for hidden in ["binh", "chi@", "hidden-alias", "nhom-false"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}
