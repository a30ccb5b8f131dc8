//! What the chart allows the operator, and what not: asked of the API server's own authorizer.

use k8s_openapi::api::{
    authorization::v1::SubjectAccessReview,
    core::v1::{PersistentVolumeClaim, Secret},
    rbac::v1::Role,
};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::harness::{self, TestApi};

/// Everything the operator may do to a kind that it makes.
const MAKES: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
const READS: &[&str] = &["get", "list", "watch"];

/// Group, resource, verbs, where the mail objects are.
const ALLOWED: &[(&str, &str, &[&str])] = &[
    ("mail.angiang.gov.vn", "mailsystems", READS),
    ("mail.angiang.gov.vn", "maildomains", READS),
    ("mail.angiang.gov.vn", "mailboxes", READS),
    ("mail.angiang.gov.vn", "mailgroups", READS),
    ("mail.angiang.gov.vn", "mailgroups/status", &["patch"]),
    ("mail.angiang.gov.vn", "retiredmailboxes", &["get", "list", "watch", "create", "delete"]),
    ("mail.angiang.gov.vn", "retiredmailboxes/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailsystems/status", &["patch"]),
    ("mail.angiang.gov.vn", "maildomains/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailboxes/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailboxes/finalizers", &["update"]),
    // What went along with a backup comes back.
    ("mail.angiang.gov.vn", "mailsystems", &["create"]),
    ("mail.angiang.gov.vn", "maildomains", &["create"]),
    ("mail.angiang.gov.vn", "mailboxes", &["create"]),
    ("mail.angiang.gov.vn", "mailgroups", &["create"]),
    ("mail.angiang.gov.vn", "mailbackups", &["create"]),
    ("", "namespaces", &["get"]),
    ("mail.angiang.gov.vn", "mailbackups", READS),
    ("mail.angiang.gov.vn", "mailrestores", READS),
    ("mail.angiang.gov.vn", "mailsnapshots", MAKES),
    ("mail.angiang.gov.vn", "mailbackups/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailsnapshots/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailrestores/status", &["patch"]),
    ("mail.angiang.gov.vn", "mailbackups/finalizers", &["update"]),
    ("mail.angiang.gov.vn", "mailsnapshots/finalizers", &["update"]),
    ("mail.angiang.gov.vn", "mailrestores/finalizers", &["update"]),
    ("batch", "jobs", MAKES),
    ("", "pods/log", &["get"]),
    ("", "secrets", MAKES),
    ("", "configmaps", MAKES),
    ("", "services", MAKES),
    ("", "serviceaccounts", MAKES),
    ("apps", "statefulsets", MAKES),
    ("apps", "deployments", MAKES),
    ("policy", "poddisruptionbudgets", MAKES),
    ("networking.k8s.io", "networkpolicies", MAKES),
    ("rbac.authorization.k8s.io", "roles", MAKES),
    ("rbac.authorization.k8s.io", "rolebindings", MAKES),
    ("", "pods", &["get", "list", "watch", "patch"]),
    ("", "persistentvolumeclaims", READS),
    ("events.k8s.io", "events", &["create", "patch"]),
];

const REFUSED: &[(&str, &str, &[&str])] = &[
    ("mail.angiang.gov.vn", "mailsystems", &["update", "patch", "delete", "deletecollection"]),
    ("mail.angiang.gov.vn", "mailboxes", &["update", "patch", "delete", "deletecollection"]),
    ("mail.angiang.gov.vn", "mailgroups", &["update", "patch", "delete", "deletecollection"]),
    ("", "persistentvolumeclaims", &["create", "update", "patch", "delete", "deletecollection"]),
    ("", "persistentvolumes", &["get", "delete"]),
    ("", "pods", &["create", "update", "delete", "deletecollection"]),
    ("", "pods/exec", &["create", "get"]),
    ("", "pods/eviction", &["create"]),
    ("mail.angiang.gov.vn", "mailbackups", &["update", "patch", "delete", "deletecollection"]),
    ("mail.angiang.gov.vn", "mailrestores", &["create", "update", "patch", "delete", "deletecollection"]),
    ("mail.angiang.gov.vn", "mailsnapshots", &["deletecollection"]),
    ("batch", "cronjobs", MAKES),
    ("", "pods/ephemeralcontainers", &["patch"]),
    ("", "secrets", &["deletecollection"]),
    ("", "serviceaccounts/token", &["create"]),
    ("", "serviceaccounts", &["impersonate"]),
    ("", "nodes", READS),
    ("", "namespaces", &["create", "delete"]),
    ("rbac.authorization.k8s.io", "roles", &["bind", "escalate"]),
    ("rbac.authorization.k8s.io", "clusterroles", &["get", "create", "patch", "bind", "escalate"]),
    ("rbac.authorization.k8s.io", "clusterrolebindings", &["create", "patch"]),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["create", "patch", "delete"]),
];

/// Installs the chart's objects in the test's namespace and returns the name of the operator's service account.
pub fn install(api: &TestApi, values: &[&str]) -> String {
    let release = &api.namespace;
    let flags = ["--namespace", release, "--values", "charts/mail-operator/ci/images-values.yaml"];
    let install = ["install", release, "charts/mail-operator", "--set", "crds.install=false"];
    api.run("helm", &[install.as_slice(), &flags, values].concat());
    format!("{release}-mail-operator")
}

/// The verbs that the account has of those asked for.
async fn granted(api: &TestApi, account: &str, namespace: &str, asked: (&str, &str, &[&str])) -> Vec<String> {
    let reviews: Api<SubjectAccessReview> = Api::all(api.client.clone());
    let (group, resource, verbs) = asked;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let mut granted = Vec::new();
    for verb in verbs {
        let review = json!({"metadata": {}, "spec": {
            "user": format!("system:serviceaccount:{}:{account}", api.namespace),
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {"namespace": namespace, "verb": verb, "group": group, "resource": resource,
                                   "subresource": subresource}}});
        let review = serde_json::from_value(review).unwrap();
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        if answer.status.unwrap().allowed {
            granted.push((*verb).to_owned());
        }
    }
    granted
}

#[tokio::test]
async fn the_operator_may_do_what_it_does_and_nothing_else() {
    let api = harness::api("rbac").await;
    let account = install(&api, &[]);
    let tenant = api.another_namespace("tenant").await;
    for asked in ALLOWED {
        assert_eq!(granted(&api, &account, &tenant, *asked).await, asked.2, "{asked:?}");
    }
    for asked in REFUSED {
        assert_eq!(granted(&api, &account, &tenant, *asked).await, [] as [&str; 0], "{asked:?}");
    }
    let storage = ("storage.k8s.io", "storageclasses", READS);
    assert_eq!(granted(&api, &account, "", storage).await, READS);
    let lease = ("coordination.k8s.io", "leases", ["get", "create", "update", "patch"].as_slice());
    assert_eq!(granted(&api, &account, &api.namespace, lease).await, lease.2);
    assert_eq!(granted(&api, &account, &tenant, lease).await, lease.2, "the votes of stores");
    let more = (lease.0, lease.1, ["list", "watch", "delete"].as_slice());
    assert_eq!(granted(&api, &account, &tenant, more).await, [] as [&str; 0]);
}

#[tokio::test]
async fn the_operators_account_is_refused_by_the_api_itself() {
    let api = harness::api("as-operator").await;
    let account = install(&api, &[]);
    let client = api.as_service_account(&api.namespace, &account);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &api.namespace);
    secrets.list(&ListParams::default()).await.unwrap();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, &api.namespace);
    claims.list(&ListParams::default()).await.unwrap();
    let refused = claims.delete("mail", &DeleteParams::default()).await.unwrap_err();
    assert!(matches!(&refused, Error::Api(status) if status.code == 403), "{refused}");
}

#[tokio::test]
async fn the_operator_can_give_agents_their_secrets_but_nobody_more_than_it_has() {
    let api = harness::api("escalation").await;
    let account = install(&api, &[]);
    let roles: Api<Role> = Api::namespaced(api.as_service_account(&api.namespace, &account), &api.namespace);
    let role = |resource: &str, verbs: &[&str]| {
        let rule = json!({"apiGroups": [""], "resources": [resource], "verbs": verbs, "resourceNames": ["mail-directory"]});
        serde_json::from_value(json!({"metadata": {"generateName": "agent-"}, "rules": [rule]})).unwrap()
    };
    roles.create(&PostParams::default(), &role("secrets", &["get", "watch"])).await.unwrap();
    for (resource, verb) in
        [("pods/exec", "create"), ("secrets", "update"), ("persistentvolumeclaims", "delete")]
    {
        let refused = roles.create(&PostParams::default(), &role(resource, &[verb])).await.unwrap_err();
        assert!(matches!(&refused, Error::Api(status) if status.code == 403), "{refused}");
    }
}

#[tokio::test]
async fn an_operator_of_one_namespace_has_rights_there_only() {
    let api = harness::api("one-namespace").await;
    let watched = api.another_namespace("watched").await;
    let account = install(&api, &["--set", &format!("watchNamespace={watched}")]);
    for asked in ALLOWED {
        assert_eq!(granted(&api, &account, &watched, *asked).await, asked.2, "{asked:?}");
        assert_eq!(granted(&api, &account, "default", *asked).await, [] as [&str; 0], "{asked:?}");
    }
}

/// Whether a user of a namespace, by the cluster's own ClusterRole, may do this to Mailboxes.
async fn user_may(client: &Client, namespace: &str, user: &str, verb: &str) -> bool {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = json!({"metadata": {}, "spec": {"user": user, "resourceAttributes":
        {"namespace": namespace, "verb": verb, "group": "mail.angiang.gov.vn", "resource": "mailboxes"}}});
    let review = serde_json::from_value(review).unwrap();
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn each_aggregated_role_carries_the_labels_of_the_clusters_own_roles() {
    let api = harness::api("aggregated").await;
    install(&api, &[]);
    // No controller aggregates here, so the labels are what can be seen, and the rights of the roles themselves.
    for (role, label) in
        [("view", "view"), ("view", "edit"), ("view", "admin"), ("edit", "edit"), ("edit", "admin")]
    {
        let selector = format!(
            "app.kubernetes.io/instance={},rbac.authorization.k8s.io/aggregate-to-{label}=true",
            api.namespace
        );
        let found = api.run("kubectl", &["get", "clusterrole", "-o", "name", "-l", &selector]);
        assert!(
            found.contains(&format!("{}-mail-operator-mail-{role}", api.namespace)),
            "{role} {label}: {found}"
        );
    }
    for role in ["view", "edit"] {
        let (name, cluster_role) = (
            format!("{}-{role}", api.namespace),
            format!("--clusterrole={}-mail-operator-mail-{role}", api.namespace),
        );
        api.run(
            "kubectl",
            &["-n", &api.namespace, "create", "rolebinding", &name, &cluster_role, "--user", &name],
        );
        assert_eq!(user_may(&api.client, &api.namespace, &name, "list").await, role == "view");
        assert_eq!(user_may(&api.client, &api.namespace, &name, "delete").await, role == "edit");
        assert!(!user_may(&api.client, "default", &name, "list").await);
    }
}
