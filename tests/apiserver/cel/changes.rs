//! What cannot be changed, and what is filled in.

use serde_json::{Value, json};

use super::{check_changes, domain, group, mailbox, merge, spec, stored, system};

#[tokio::test]
async fn what_mail_is_stored_under_cannot_be_changed() {
    let base = |mut base: Value, fields: Value| {
        merge(&mut base, &json!({"spec": fields}));
        base
    };
    check_changes(
        base(system(), json!({"store": {"shards": 2}})),
        vec![
            spec(&json!({"store": {"shards": 3}}), None),
            spec(&json!({"gateway": {"replicas": 3}}), None),
            spec(&json!({"gateway": {"replicas": 1}}), Some("the number of gateways cannot shrink")),
            spec(&json!({"store": {"shards": 1}}), Some("the number of shards cannot shrink")),
            spec(&json!({"store": {"replicas": 1}}), Some("the number of stores of a shard cannot shrink")),
            // Leaving the field out means its default.
            spec(&json!({"store": null}), Some("the number of shards cannot shrink")),
            spec(&json!({"hostname": "mail2.angiang.gov.vn", "paused": true}), None),
        ],
    )
    .await;
    check_changes(
        domain(),
        vec![
            spec(&json!({"domain": "angiang.vn"}), Some("the domain cannot be changed")),
            spec(&json!({"system": {"name": "other"}}), Some("the system of a domain cannot be changed")),
            spec(
                &json!({"system": {"namespace": "other"}}),
                Some("the system of a domain cannot be changed"),
            ),
            spec(&json!({"dkim": {"selector": "mail2"}, "organisation": "UBND tỉnh"}), None),
        ],
    )
    .await;
    check_changes(
        group(),
        vec![
            spec(&json!({"address": "nhom.moi@angiang.gov.vn", "posting": "Anyone"}), None),
            spec(&json!({"members": ["nhom@angiang.gov.vn"]}), Some("a group is no member of itself")),
            spec(&json!({"address": "moi@angiang.gov.vn", "aliases": ["nhom@angiang.gov.vn"]}), None),
        ],
    )
    .await;
    check_changes(
        mailbox(),
        vec![
            spec(&json!({"address": "binh@angiang.gov.vn"}), None),
            spec(&json!({"type": "Unit"}), None),
            spec(&json!({"state": "Suspended", "quota": "5Gi", "unit": "Văn phòng"}), None),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_mailbox_of_a_unit_becomes_no_persons() {
    let mut unit = mailbox();
    merge(&mut unit, &json!({"spec": {"type": "Unit"}}));
    let refused = Some("the mailbox of a unit cannot become that of a person");
    check_changes(
        unit,
        vec![
            spec(&json!({"type": "Shared"}), None),
            spec(&json!({"type": "Person"}), refused),
            spec(&json!({"type": null}), refused),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_left_out_gets_the_documented_default() {
    assert_eq!(
        stored(system()).await,
        json!({
            "hostname": "mail.angiang.gov.vn",
            "gateway": {"replicas": 2, "service": {"type": "ClusterIP"}, "messageSize": "50Mi",
                        "queueStorage": {"size": "5Gi"}},
            "store": {"shards": 1, "replicas": 2, "failover": {"staleAfter": "5m"}, "retiredRetention": "90d",
                      "storage": {"size": "50Gi"}},
            "antispam": {"replicas": 2, "thresholds": {"addHeader": 6, "reject": 15}},
            "antivirus": {"replicas": 2, "onFailure": "Defer", "onDetection": "Reject"},
            "limits": {"messagesPerHour": 300, "recipientsPerMessage": 100},
            "review": {"unattendedAfter": "60d"}
        })
    );
    let service = json!({"name": "a", "urls": ["ldaps://dc1.x.vn"], "search": {"baseDN": "dc=vn"},
        "bind": {"dn": "cn=m", "passwordSecret": {"name": "s"}}});
    let mut with_service = system();
    merge(&mut with_service, &json!({"spec": {"authentication": {"ldap": [service]}}}));
    assert_eq!(
        stored(with_service).await["authentication"]["ldap"][0],
        json!({"name": "a", "urls": ["ldaps://dc1.x.vn"], "timeoutSeconds": 5,
               "search": {"baseDN": "dc=vn", "filter": "(mail={address})"},
               "bind": {"dn": "cn=m", "passwordSecret": {"name": "s", "key": "password"}}})
    );
    let mut partial = system();
    merge(
        &mut partial,
        &json!({"spec": {"gateway": {"replicas": 3}, "antispam": {"thresholds": {"reject": 20}}}}),
    );
    let partial = stored(partial).await;
    assert_eq!(partial["gateway"]["messageSize"], json!("50Mi"));
    assert_eq!(partial["antispam"], json!({"replicas": 2, "thresholds": {"addHeader": 6, "reject": 20}}));
    assert_eq!(stored(domain()).await["dkim"], json!({"selector": "mail"}));
    assert_eq!(
        stored(group()).await,
        json!({"address": "nhom@angiang.gov.vn", "members": ["an.nguyen@angiang.gov.vn"], "externalMembers": "Refuse",
               "posting": "System", "listed": false})
    );
    let mut with_secret = mailbox();
    merge(&mut with_secret, &json!({"spec": {"passwordSecret": {"name": "an-password"}}}));
    assert_eq!(
        stored(with_secret).await,
        json!({"address": "an.nguyen@angiang.gov.vn", "state": "Active", "whileSuspended": "Store", "quota": "2Gi",
               "keepFormerAddress": "90d", "listed": false, "type": "Person",
               "passwordSecret": {"name": "an-password", "key": "password"}})
    );
}
