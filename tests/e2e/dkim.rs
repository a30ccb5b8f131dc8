//! Signatures of outgoing mail (RFC 6376), checked against the record that status says to publish.

use std::{collections::HashMap, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use mail_operator::api::{MailDomain, Mailbox, domain::KeyUse};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, World, domain, eventually, parse, run, unique},
};

#[test]
fn mail_of_a_new_domain_is_signed_from_the_moment_that_status_says_so() {
    run(async |world| {
        let (name, zone) = (unique("d"), format!("{}.example.vn", unique("signed")));
        let address = format!("an@{zone}");
        world
            .apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": {"address": address}})))
            .await;
        world.condition::<Mailbox>(&name, "Ready", "False", Duration::from_mins(1)).await;
        world.apply(parse::<MailDomain>(domain(&name, &zone))).await;
        world.condition::<MailDomain>(&name, "DkimKeyAvailable", "True", Duration::from_mins(1)).await;
        world.ready::<MailDomain>(&name, Duration::from_mins(1)).await;
        world.ready::<Mailbox>(&name, Duration::from_mins(1)).await;
        let secret = world.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap();
        let password = String::from_utf8(secret.data.unwrap()["password"].0.clone()).unwrap();
        let an = Account { name: name.clone(), address, password };
        let selector = verified(world, &an, &name).await;
        assert_eq!(selector, "mail");

        // Another selector: its key is announced, and mail is signed with the former one until its record is seen.
        let mut other = domain(&name, &zone);
        other["spec"]["dkim"] = json!({"selector": "new"});
        world.apply(parse::<MailDomain>(other)).await;
        eventually(Duration::from_mins(1), "the next key", async || {
            let status = world.api::<MailDomain>().get(&name).await.map_err(|e| e.to_string())?.status;
            let records = status.map(|status| status.dns_records).unwrap_or_default();
            let announced = records.iter().any(|record| record.key_use == Some(KeyUse::Next));
            if announced { Ok(()) } else { Err(format!("{records:?}")) }
        })
        .await;
        assert_eq!(verified(world, &an, &name).await, "mail");
    });
}

/// Sends one mail from the mailbox to itself, checks its signature against the records of the MailDomain, and gives the
/// selector it was signed with.
pub(crate) async fn verified(world: &World, an: &Account, domain: &str) -> String {
    let subject = unique("signed");
    let text = message(&an.address, &an.address, &subject, "Kính gửi  quý vị.\n\nTrân trọng.\n\n\n");
    let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
    let reply = smtp.send(&an.address, &[&an.address], &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    let read = imap::wait_for(world, an, &subject).await;
    let status = world.api::<MailDomain>().get(domain).await.unwrap().status.unwrap();
    let records: HashMap<String, String> =
        status.dns_records.into_iter().map(|record| (record.name, record.value)).collect();
    verify(&read, &records).unwrap_or_else(|why| panic!("{why}: {read}"))
}

/// The selector of a message's signature, if that verifies with the public key in `records` (values by name).
fn verify(message: &str, records: &HashMap<String, String>) -> Result<String, &'static str> {
    let (head, body) = message.split_once("\r\n\r\n").ok_or("no body")?;
    let mut headers: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match headers.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => *last += line,
            _ => headers.push(line.to_owned()),
        }
    }
    let named = |header: &&String, name: &str| {
        header.split_once(':').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
    };
    let signature = headers.iter().find(|header| named(header, "DKIM-Signature")).ok_or("no signature")?;
    let (_, tags) = signature.split_once(':').ok_or("no tags")?;
    let tag = |name: &str| -> Result<String, &'static str> {
        let found = tags.split(';').filter_map(|tag| tag.split_once('=')).find(|(key, _)| key.trim() == name);
        Ok(found.ok_or("a tag is missing")?.1.chars().filter(|c| !c.is_whitespace()).collect())
    };
    if tag("c")? != "relaxed/relaxed" || tag("a")? != "rsa-sha256" {
        return Err("another algorithm");
    }
    if STANDARD.encode(digest(&SHA256, relaxed_body(body).as_bytes())) != tag("bh")? {
        return Err("the body differs");
    }
    // Each name in h= takes the next header of that name from below; more names than headers stand for none.
    let (mut signed, mut used) = (String::new(), HashMap::<String, usize>::new());
    for name in tag("h")?.to_lowercase().split(':') {
        let nth = used.entry(name.to_owned()).or_default();
        if let Some(header) = headers.iter().rev().filter(|header| named(header, name)).nth(*nth) {
            signed += &(relaxed(header) + "\r\n");
        }
        *nth += 1;
    }
    let b = tag("b")?;
    let (before, after) = signature.rsplit_once("b=").ok_or("no b=")?;
    let after = after.split_once(';').map_or(String::new(), |(_, rest)| format!(";{rest}"));
    signed += &relaxed(&format!("{before}b={after}"));
    let (selector, domain) = (tag("s")?, tag("d")?);
    let record = records.get(&format!("{selector}._domainkey.{domain}")).ok_or("its record is not listed")?;
    let public = record.split_once("p=").ok_or("no key in the record")?.1;
    let public = STANDARD.decode(public).map_err(|_| "the key is no base64")?;
    let bytes = STANDARD.decode(b).map_err(|_| "the signature is no base64")?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &bytes)
        .map_err(|_| "the signature is wrong")?;
    Ok(selector)
}

fn relaxed(header: &str) -> String {
    let (name, value) = header.split_once(':').unwrap_or((header, ""));
    format!("{}:{}", name.trim().to_lowercase(), value.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn relaxed_body(body: &str) -> String {
    let line = |line: &str| {
        let mut text = String::new();
        for c in line.trim_end_matches([' ', '\t']).chars() {
            match c {
                ' ' | '\t' if text.ends_with(' ') => {}
                ' ' | '\t' => text.push(' '),
                c => text.push(c),
            }
        }
        text
    };
    let lines: Vec<_> = body.split("\r\n").map(line).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..end].iter().fold(String::new(), |text, line| text + line + "\r\n")
}
