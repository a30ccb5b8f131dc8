//! MailSystem: names, sizes, scanning, tenants.

use serde_json::{Value, json};

use super::{check, spec, system};

#[tokio::test]
async fn names_and_hosts_of_a_system_are_checked() {
    let name = "a DNS label of at most 40 characters that begins with a letter";
    let host = "must be a lower-case host name with at least two labels";
    let relay = "must be host, host:port or [host]:port";
    let relay_row = |value: &str, refusal| spec(&json!({"gateway": {"relayHost": value}}), refusal);
    let named = |value: String, refusal| (json!({"metadata": {"name": value}}), refusal);
    check(
        system(),
        vec![
            (json!({}), None),
            named("a".repeat(40), None),
            named("a".repeat(41), Some(name)),
            named("mail.tinh".into(), Some(name)),
            named("2mail".into(), Some(name)),
            spec(&json!({"hostname": "mail"}), Some(host)),
            spec(&json!({"hostname": "Mail.angiang.gov.vn"}), Some(host)),
            spec(&json!({"hostname": "mail..vn"}), Some(host)),
            spec(&json!({"hostname": "-mail.vn"}), Some(host)),
            spec(&json!({"hostname": "mail.angiang.gov.vn."}), Some(host)),
            spec(&json!({"hostname": format!("{}.vn", "a".repeat(64))}), Some(host)),
            spec(&json!({"hostname": format!("{}.vn", "a".repeat(63))}), None),
            spec(&json!({"hostname": "10.0.0.1"}), Some(host)),
            spec(&json!({"hostname": "mail.xn--p1ai"}), None),
            spec(&json!({"hostname": null}), Some("spec.hostname: Required value")),
            relay_row("relay.gov.vn", None),
            relay_row("relay.gov.vn:587", None),
            relay_row("[relay.gov.vn]:587", None),
            relay_row("[2001:db8::1]:25", None),
            relay_row("relay.gov.vn:", Some(relay)),
            relay_row("relay.gov.vn:0", Some(relay)),
            relay_row("relay gov vn", Some(relay)),
            relay_row("", Some("should be at least 1 chars long")),
        ],
    )
    .await;
}

#[tokio::test]
async fn sizes_and_counts_of_a_system_are_checked() {
    let message = "must be a quantity between 64Ki and 200Mi";
    let volume = "must be a quantity of at least 100Mi";
    let size = |value: &str, refusal| spec(&json!({"gateway": {"messageSize": value}}), refusal);
    let storage = |value: &str, refusal| spec(&json!({"store": {"storage": {"size": value}}}), refusal);
    let memory = |value: Value, refusal| {
        spec(&json!({"antivirus": {"resources": {"limits": {"memory": value}}}}), refusal)
    };
    check(
        system(),
        vec![
            size("64Ki", None),
            size("200Mi", None),
            size("1.5Mi", None),
            size("63Ki", Some(message)),
            size("201Mi", Some(message)),
            size("50 MB", Some(message)),
            size("50MB", Some(message)),
            size("", Some(message)),
            size("-50Mi", Some(message)),
            size("100000000500m", None),
            size(&"1".repeat(33), Some("may not be more than 32")),
            storage("100Mi", None),
            storage("2Ti", None),
            storage("99Mi", Some(volume)),
            storage("9Ei", None),
            storage("much", Some(volume)),
            spec(
                &json!({"store": {"storage": {"storageClassName": "fast"}}}),
                Some("storage.size: Required value"),
            ),
            spec(&json!({"gateway": {"queueStorage": {"size": "1Mi"}}}), Some(volume)),
            spec(&json!({"gateway": {"replicas": 0}}), Some("should be greater than or equal to 1")),
            spec(&json!({"gateway": {"replicas": 51}}), Some("should be less than or equal to 50")),
            spec(&json!({"gateway": {"replicas": "two"}}), Some("must be of type integer")),
            spec(&json!({"antispam": {"replicas": 0}}), Some("should be greater than or equal to 1")),
            spec(&json!({"antivirus": {"replicas": 0}}), Some("should be greater than or equal to 1")),
            spec(&json!({"store": {"shards": 0}}), Some("should be greater than or equal to 1")),
            spec(&json!({"store": {"shards": 65}}), Some("should be less than or equal to 64")),
            spec(&json!({"store": {"replicas": 1}}), None),
            spec(&json!({"store": {"replicas": 0}}), Some("should be greater than or equal to 1")),
            spec(&json!({"store": {"replicas": 3}}), Some("should be less than or equal to 2")),
            spec(&json!({"store": {"failover": {"staleAfter": "90s"}}}), None),
            spec(&json!({"store": {"failover": {"staleAfter": "Never"}}}), None),
            spec(
                &json!({"store": {"failover": {"staleAfter": "0m"}}}),
                Some("such as 300s, 5m or 1h, or Never"),
            ),
            spec(
                &json!({"store": {"failover": {"staleAfter": "5"}}}),
                Some("such as 300s, 5m or 1h, or Never"),
            ),
            memory(json!("4Gi"), None),
            memory(json!(4_000_000_000_u64), None),
            memory(json!("4 GB"), Some("should match")),
        ],
    )
    .await;
}

#[tokio::test]
async fn scanning_and_tenants_of_a_system_are_checked() {
    let thresholds = |value: Value, refusal| spec(&json!({"antispam": {"thresholds": value}}), refusal);
    let exclude = "signatureSecret and mirrors exclude each other";
    let resolver = |value: Value, refusal| spec(&json!({"resolver": {"addresses": value}}), refusal);
    let tenants = |value: Value, refusal| spec(&json!({"tenantNamespaces": value}), refusal);
    let review = |value: &str, refusal| spec(&json!({"review": {"unattendedAfter": value}}), refusal);
    check(
        system(),
        vec![
            thresholds(json!({"addHeader": 5, "reject": 12}), None),
            thresholds(json!({"addHeader": 5.5}), None),
            thresholds(json!({"addHeader": 7, "reject": 7}), Some("addHeader must be below reject")),
            thresholds(json!({"reject": 5}), Some("addHeader must be below reject")),
            thresholds(json!({"addHeader": 0.5}), Some("should be greater than or equal to 1")),
            spec(
                &json!({"antivirus": {"signatureSecret": "s", "mirrors": ["mirror.gov.vn"]}}),
                Some(exclude),
            ),
            spec(&json!({"antivirus": {"signatureSecret": "s", "mirrors": []}}), None),
            spec(&json!({"antivirus": {"signatureSecret": "s"}}), None),
            spec(&json!({"antivirus": {"mirrors": vec!["m.vn"; 8]}}), None),
            spec(&json!({"antivirus": {"mirrors": vec!["m.vn"; 9]}}), Some("must have at most 8 items")),
            spec(
                &json!({"antivirus": {"onFailure": "Ignore"}}),
                Some("supported values: \"Defer\", \"Accept\""),
            ),
            spec(
                &json!({"antivirus": {"onDetection": "Discard"}}),
                Some("supported values: \"Reject\", \"Quarantine\""),
            ),
            spec(&json!({"gateway": {"service": {"type": "ExternalName"}}}), Some("supported values")),
            spec(&json!({"tls": {}}), Some("spec.tls.secretName: Required value")),
            spec(&json!({"tls": {"secretName": ""}}), Some("should be at least 1 chars long")),
            spec(&json!({"tls": null}), None),
            resolver(json!(["192.0.2.53:53", "[2001:db8::53]:5353"]), None),
            resolver(json!(["192.0.2.53"]), Some("must be addresses with a port")),
            resolver(json!(["dns.vn:53"]), Some("must be addresses with a port")),
            resolver(json!([]), Some("should have at least 1 items")),
            review("60d", None),
            review("9999d", None),
            review("0d", Some("must be a number of days, such as 60d")),
            review("2mo", Some("must be a number of days, such as 60d")),
            review("10000d", Some("may not be more than 5")),
            tenants(json!(["*"]), None),
            tenants(json!(["hoi-nong-dan", "mttq"]), None),
            tenants(json!(["mttq", "mttq"]), Some("Duplicate value")),
            tenants(json!(["hoi_nong_dan"]), Some("must be names of namespaces, or * for all")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_journal_is_checked() {
    let whole = |field: &str, value: Value| {
        let mut storage =
            json!({"endpoint": "https://s3.x.vn:9000", "bucket": "mail", "credentialsSecret": "s3"});
        let mut journal = json!({});
        match field.strip_prefix("objectStorage.") {
            Some(field) => storage[field] = value,
            None => journal[field] = value,
        }
        journal["objectStorage"] = storage;
        json!({"journal": journal})
    };
    let row = |field: &str, value: Value, refusal| spec(&whole(field, value), refusal);
    let endpoint = "must be https://host, https://host:port or the same with http";
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    check(
        system(),
        vec![
            row("durability", json!("Preferred"), None),
            row("durability", json!("Sometimes"), Some("Unsupported value")),
            row("objectStorage.endpoint", json!("http://s3.mail.svc"), None),
            row("objectStorage.endpoint", json!("https://[2001:db8::1]:9000/"), None),
            row("objectStorage.endpoint", json!("s3.x.vn:9000"), Some(endpoint)),
            row("objectStorage.endpoint", json!("https://s3.x.vn/mail"), Some(endpoint)),
            row("objectStorage.bucket", json!("Mail"), Some("must be the name of a bucket")),
            row("objectStorage.bucket", json!(null), Some("objectStorage.bucket: Required value")),
            row("objectStorage.credentialsSecret", json!(null), Some("credentialsSecret: Required value")),
            row("objectStorage.prefix", json!("tinh/an-giang"), None),
            row("objectStorage.prefix", json!("/tinh"), Some("must be names of letters")),
            row("objectStorage.region", json!("us east"), Some("must be a region")),
            row("backlog", json!("2Gi"), None),
            row("backlog", json!("1Ki"), Some("must be a quantity of at least 1Mi")),
            row("retention", json!("30d"), None),
            row("retention", json!("7d"), None),
            row("retention", json!("6d"), Some("must be a number of days from 7d to 30d")),
            row("retention", json!("31d"), Some("must be a number of days from 7d to 30d")),
            row("additionalKeys", json!([key]), None),
            row("additionalKeys", json!([key.to_uppercase()]), Some("must be public keys of age")),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_directory_services_of_a_system_are_checked() {
    let url = "must be ldaps://host or ldap://host";
    let one = "say either how people are searched for";
    let filter = "must be a filter in parentheses with {address} or {local}";
    let base = json!({"name": "a", "urls": ["ldaps://dc1.x.vn"], "search": {"baseDN": "dc=vn"}});
    let with = |fields: Value| {
        let mut service = base.clone();
        super::merge(&mut service, &fields);
        service
    };
    let all = |services: Value, refusal| spec(&json!({"authentication": {"ldap": services}}), refusal);
    let row = |fields: Value, refusal| all(json!([with(fields)]), refusal);
    let direct = |template: &str| json!({"search": null, "directBind": template});
    let named = |name: &str, domains: Value| with(json!({"name": name, "domains": domains}));
    check(
        system(),
        vec![
            row(json!({}), None),
            row(json!({"urls": ["ldap://dc1.x.vn:1389", "ldaps://10.0.0.1:636/"]}), None),
            row(json!({"urls": []}), Some("should have at least 1")),
            row(json!({"urls": ["http://dc1.x.vn"]}), Some(url)),
            row(json!({"urls": ["ldaps://"]}), Some(url)),
            row(json!({"urls": ["ldaps://dc1.x.vn:0"]}), Some(url)),
            row(json!({"urls": ["ldaps://dc1.x.vn/dc=vn"]}), Some(url)),
            row(json!({"urls": ["ldaps://a b.vn"]}), Some(url)),
            row(json!({"name": "Province"}), Some("must be lower-case letters, digits and -")),
            row(json!({"search": null}), Some(one)),
            row(json!({"directBind": "uid={local}"}), Some(one)),
            row(direct("uid={local},dc=vn"), None),
            row(direct("{address}"), None),
            row(direct("cn=admin"), Some("must contain {address} or {local}")),
            row(
                json!({"search": null, "directBind": "{address}", "bind": {"dn": "cn=m", "passwordSecret": {"name": "s"}}}),
                Some("bind is for a search"),
            ),
            row(json!({"bind": {"dn": "cn=m", "passwordSecret": {"name": "s"}}}), None),
            row(json!({"bind": {"dn": "cn=m"}}), Some("passwordSecret: Required value")),
            row(json!({"search": {"filter": "(uid={local})"}}), None),
            row(json!({"search": {"filter": "uid={local}"}}), Some(filter)),
            row(json!({"search": {"filter": "(uid=an)"}}), Some(filter)),
            row(json!({"search": {"baseDN": null}}), Some("baseDN: Required value")),
            row(json!({"timeoutSeconds": 11}), Some("less than or equal to 10")),
            row(json!({"timeoutSeconds": 0}), Some("greater than or equal to 1")),
            row(json!({"domains": ["x.vn"], "fallbackLocal": true}), None),
            row(json!({"domains": ["X.vn"]}), Some("must be lower-case domain names")),
            all(json!([named("a", json!([])), named("b", json!(["x.vn"]))]), None),
            all(json!([named("a", json!([])), named("b", json!([]))]), Some("only one directory service may leave domains out")),
            all(json!([named("a", json!(["x.vn"])), named("b", json!(["y.vn", "x.vn"]))]), Some("a domain may stand with one directory service only")),
            all(json!([named("a", json!(["x.vn"])), named("a", json!(["y.vn"]))]), Some("Duplicate value")),
        ],
    )
    .await;
}
