//! MailDomain and Mailbox: names, addresses, quotas, aliases.

use serde_json::{Value, json};

use super::{check, domain, mailbox, spec};

#[tokio::test]
async fn a_domain_is_checked() {
    let name = "must be a lower-case domain name with at least two labels";
    let label = "must be one DNS label";
    let total = "must be a quantity from 1Mi to 1Ei";
    check(
        domain(),
        vec![
            (json!({}), None),
            spec(&json!({"domain": "xn--anging-3ya.vn"}), None),
            spec(&json!({"domain": "gov"}), Some(name)),
            spec(&json!({"domain": "AnGiang.gov.vn"}), Some(name)),
            spec(&json!({"domain": "angiang.gov.vn."}), Some(name)),
            spec(&json!({"domain": "an giang.gov.vn"}), Some(name)),
            spec(&json!({"domain": "angiàng.gov.vn"}), Some(name)),
            spec(&json!({"domain": "angiang_.gov.vn"}), Some(name)),
            spec(&json!({"domain": null}), Some("spec.domain: Required value")),
            spec(&json!({"system": {"name": null}}), Some("spec.system.name: Required value")),
            spec(&json!({"dkim": {"selector": "2026-a"}}), None),
            spec(&json!({"dkim": {"selector": "a.b"}}), Some(label)),
            spec(&json!({"dkim": {"rotateEvery": "90d"}}), None),
            spec(&json!({"dkim": {"rotateEvery": "13d"}}), Some("must be a number of days from 14d on")),
            spec(&json!({"dkim": {"rotateEvery": "3mo"}}), Some("must be a number of days from 14d on")),
            spec(
                &json!({"dkim": {"selector": "a".repeat(55), "rotateEvery": "90d"}}),
                Some("limited to 54 characters"),
            ),
            spec(&json!({"dkim": {"selector": "Mail"}}), Some(label)),
            spec(&json!({"limits": {"mailboxes": 0, "totalQuota": "1.5Ti"}}), None),
            spec(&json!({"limits": {"totalQuota": "1Ei"}}), None),
            spec(&json!({"limits": {"mailboxes": -1}}), Some("greater than or equal to 0")),
            spec(&json!({"limits": {"mailboxes": "many"}}), Some("must be of type integer")),
            spec(&json!({"limits": {"totalQuota": "1023Ki"}}), Some(total)),
            spec(&json!({"limits": {"totalQuota": "2Ei"}}), Some(total)),
            spec(&json!({"limits": {"totalQuota": "lots"}}), Some(total)),
            spec(&json!({"limits": {"totalQuota": 500}}), Some("must be of type string")),
            spec(&json!({"organisation": "Ủy ban nhân dân tỉnh An Giang"}), None),
            spec(&json!({"organisation": "à".repeat(201)}), Some("may not be more than 200")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_mailbox_is_checked() {
    let address = "must be a lower-case address with a domain";
    let local = "the part before the @ is limited to 64 characters";
    let quota = "must be a quantity of at least 1Mi";
    let date = "must be a date such as 2026-12-31";
    let at = |local: &str| format!("{local}@angiang.gov.vn");
    let an = |rights: &[&str]| json!({"address": "binh@angiang.gov.vn", "rights": rights});
    let addressed = |value: String, refusal| spec(&json!({"address": value}), refusal);
    check(
        mailbox(),
        vec![
            (json!({}), None),
            (json!({"metadata": {"name": "a".repeat(241)}}), None),
            (json!({"metadata": {"name": "a".repeat(242)}}), Some("limited to 241 characters")),
            spec(&json!({"keepFormerAddress": "7d"}), None),
            spec(&json!({"forward": {"to": "binh@angiang.gov.vn"}}), None),
            spec(&json!({"forward": {"to": "binh"}}), Some("must be a lower-case address with a domain")),
            spec(&json!({"forward": {"to": "an.nguyen@angiang.gov.vn"}}), Some("does not forward to itself")),
            spec(&json!({"type": "Unit", "members": [an(&["Read", "SendAs"])]}), None),
            spec(&json!({"type": "Shared", "members": [an(&["Write"])]}), None),
            spec(&json!({"members": [an(&["Read"])]}), Some("only a mailbox of type Unit or Shared has members")),
            spec(&json!({"type": "Unit", "members": [an(&[])]}), Some("should have at least 1")),
            spec(&json!({"type": "Unit", "members": [an(&["Delete"])]}), Some("Unsupported value")),
            spec(&json!({"type": "Unit", "members": [an(&["Read"]), an(&["Write"])]}), Some("Duplicate value")),
            spec(
                &json!({"type": "Unit", "members": [{"address": "an", "rights": ["Read"]}]}),
                Some("every member must be a lower-case address"),
            ),
            spec(
                &json!({"type": "Unit", "members": [{"address": "an.nguyen@angiang.gov.vn", "rights": ["Read"]}]}),
                Some("a mailbox is no member of itself"),
            ),
            spec(
                &json!({"type": "Shared", "passwordSecret": {"name": "p"}}),
                Some("nobody logs in to a Shared mailbox"),
            ),
            spec(&json!({"keepFormerAddress": "6d"}), Some("must be a number of days, at least 7d")),
            spec(&json!({"keepFormerAddress": "0d"}), Some("must be a number of days, at least 7d")),
            addressed(at("o'brien"), Some(address)),
            addressed(at("an_viec=1"), None),
            addressed(at("an+viec"), Some(address)),
            addressed(at("an/viec"), Some(address)),
            addressed(at("anyone"), Some("a meaning of their own")),
            addressed(at("anonymous"), Some("a meaning of their own")),
            addressed(at(&"a".repeat(64)), None),
            addressed(at(&"a".repeat(65)), Some(local)),
            addressed("an.nguyen".into(), Some(address)),
            addressed("an.nguyen@localhost".into(), Some(address)),
            addressed("an@nguyen@angiang.gov.vn".into(), Some(address)),
            addressed(at("An.Nguyen"), Some(address)),
            addressed(at("an..nguyen"), Some(address)),
            addressed(at(".an"), Some(address)),
            addressed(at("an nguyen"), Some(address)),
            addressed(at("nguyễn"), Some(address)),
            addressed("@angiang.gov.vn".into(), Some(address)),
            spec(&json!({"quota": "1Mi"}), None),
            spec(&json!({"quota": "1.5Gi"}), None),
            spec(&json!({"quota": "1023Ki"}), Some(quota)),
            spec(&json!({"quota": "lots"}), Some(quota)),
            spec(&json!({"quota": "-1Gi"}), Some(quota)),
            spec(&json!({"quota": 1_000_000}), Some("must be of type string")),
            spec(&json!({"state": "Asleep"}), Some("supported values: \"Active\"")),
            spec(&json!({"state": "ReceiveOnly"}), None),
            spec(&json!({"state": "Suspended", "whileSuspended": "Refuse"}), None),
            spec(&json!({"whileSuspended": "Burn"}), Some("supported values: \"Store\", \"Refuse\"")),
            spec(&json!({"state": "Retired", "successor": "an.tran@angiang.gov.vn"}), None),
            spec(&json!({"state": "Retired", "successor": "An"}), Some(address)),
            spec(&json!({"passwordSecret": {"key": "x"}}), Some("spec.passwordSecret.name: Required value")),
            spec(&json!({"reviewBy": "2026-12-31"}), None),
            spec(&json!({"reviewBy": "2028-02-29"}), None),
            spec(&json!({"reviewBy": "2020-01-01"}), None),
            spec(&json!({"reviewBy": "2026-02-29"}), Some(date)),
            spec(&json!({"reviewBy": "2026-04-31"}), Some(date)),
            spec(&json!({"reviewBy": "2026-13-01"}), Some(date)),
            spec(&json!({"reviewBy": "31-12-2026"}), Some(date)),
            spec(&json!({"reviewBy": "soon"}), Some(date)),
            spec(&json!({"listed": true}), None),
            spec(&json!({"listed": "yes"}), Some("must be of type boolean")),
            spec(&json!({"displayName": "ễ".repeat(200)}), None),
            spec(&json!({"displayName": "ễ".repeat(201)}), Some("may not be more than 200")),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_aliases_of_a_mailbox_are_checked() {
    let aliases = |value: Value, refusal| spec(&json!({"aliases": value}), refusal);
    let numbered =
        |count: usize| json!((0..count).map(|n| format!("a{n}@angiang.gov.vn")).collect::<Vec<_>>());
    let long = format!("{}@angiang.gov.vn", "a".repeat(65));
    check(
        mailbox(),
        vec![
            aliases(json!([]), None),
            aliases(json!(["an@angiang.gov.vn", "nguyen@stttt.angiang.gov.vn"]), None),
            aliases(json!(["an"]), Some("every alias must be a lower-case address with a domain")),
            aliases(
                json!(["An@angiang.gov.vn"]),
                Some("every alias must be a lower-case address with a domain"),
            ),
            aliases(json!([long]), Some("before the @ of an alias is limited to 64")),
            aliases(json!(["an.nguyen@angiang.gov.vn"]), Some("cannot be one of its aliases")),
            aliases(json!(["an@angiang.gov.vn", "an@angiang.gov.vn"]), Some("Duplicate value")),
            aliases(numbered(64), None),
            aliases(numbered(65), Some("must have at most 64 items")),
        ],
    )
    .await;
}
