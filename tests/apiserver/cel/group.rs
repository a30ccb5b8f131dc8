//! MailGroup: its address, its members, and who may write to it.

use serde_json::json;

use super::{check, group, spec};

#[tokio::test]
async fn a_group_is_checked() {
    let address = "must be a lower-case address with a domain";
    let many = |count: usize| -> Vec<String> { (0..count).map(|n| format!("u{n}@angiang.gov.vn")).collect() };
    let longest = format!("{}@{}.gov.vn", "a".repeat(64), ["b".repeat(60), "c".repeat(60)].join("."));
    check(
        group(),
        vec![
            (json!({}), None),
            spec(&json!({"displayName": "Toàn thể Sở Khoa học và Công nghệ", "listed": true}), None),
            spec(&json!({"displayName": "ữ".repeat(201)}), Some("may not be more than 200")),
            spec(&json!({"address": null}), Some("spec.address: Required value")),
            spec(&json!({"address": "Nhom@angiang.gov.vn"}), Some(address)),
            spec(&json!({"address": "nhóm@angiang.gov.vn"}), Some(address)),
            spec(&json!({"address": "nhom+a@angiang.gov.vn"}), Some(address)),
            spec(&json!({"address": "nhom"}), Some(address)),
            spec(&json!({"address": format!("{}@angiang.gov.vn", "a".repeat(65))}), Some("limited to 64")),
            spec(&json!({"address": longest}), None),
            spec(&json!({"aliases": ["cu@angiang.gov.vn", "nhom+a@sub.angiang.gov.vn"]}), None),
            spec(&json!({"aliases": many(64)}), None),
            spec(&json!({"aliases": many(65)}), Some("must have at most 64 items")),
            spec(&json!({"aliases": ["nhom@angiang.gov.vn"]}), Some("cannot be one of its aliases")),
            spec(&json!({"aliases": ["Cu@angiang.gov.vn"]}), Some("spec.aliases[0]")),
            spec(&json!({"aliases": ["cu"]}), Some("spec.aliases[0]")),
            spec(&json!({"aliases": ["a@x.vn", "a@x.vn"]}), Some("Duplicate value")),
            spec(&json!({"members": null}), Some("spec.members: Required value")),
            spec(&json!({"members": []}), Some("should have at least 1 items")),
            spec(&json!({"members": many(1000)}), None),
            spec(&json!({"members": many(1001)}), Some("must have at most 1000 items")),
            spec(&json!({"members": ["An@angiang.gov.vn"]}), Some("spec.members[0]")),
            spec(&json!({"members": ["an"]}), Some("spec.members[0]")),
            spec(&json!({"members": ["a@x.vn", "a@x.vn"]}), Some("Duplicate value")),
            spec(&json!({"members": ["a@x.vn", "nhom@angiang.gov.vn"]}), Some("is no member of itself")),
            spec(&json!({"externalMembers": "Allow"}), None),
            spec(&json!({"externalMembers": "Maybe"}), Some("Unsupported value")),
            spec(&json!({"posting": "Members"}), None),
            spec(&json!({"posting": "Everybody"}), Some("Unsupported value")),
            spec(&json!({"posting": "Listed"}), Some("senders or owners must name who may write")),
            spec(&json!({"posting": "Listed", "senders": []}), Some("must name who may write")),
            spec(&json!({"posting": "Listed", "senders": ["dan@example.com", "@bo.gov.vn"]}), None),
            spec(&json!({"posting": "Listed", "owners": ["an@angiang.gov.vn"]}), None),
            spec(&json!({"senders": ["dan"]}), Some("every sender must be a lower-case address")),
            spec(&json!({"senders": ["@BO.gov.vn"]}), Some("every sender must be a lower-case address")),
            spec(&json!({"senders": many(64), "owners": many(16)}), None),
            spec(&json!({"senders": many(65)}), Some("must have at most 64 items")),
            spec(&json!({"owners": ["@angiang.gov.vn"]}), Some("every owner must be a lower-case address")),
        ],
    )
    .await;
}
