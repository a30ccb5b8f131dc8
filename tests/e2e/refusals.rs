//! Mail and logins that must be refused, each with its code.

use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{EICAR, GTUBE, run, unique},
};

#[test]
fn a_virus_is_refused_from_inside_and_outside() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let text = message(&an.address, &an.address, "virus", EICAR);
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        let reply = smtp.send(&an.address, &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 554, "{reply:?}");
        let text = message("dan@example.com", &an.address, "virus", EICAR);
        let reply =
            Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 554, "{reply:?}");
    });
}

#[test]
fn spam_over_the_threshold_is_refused() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let text = message("spam@example.com", &an.address, "spam", GTUBE);
        let reply = Smtp::inbound(world)
            .await
            .unwrap()
            .send("spam@example.com", &[&an.address], &text)
            .await
            .unwrap();
        assert_eq!(reply.code, 554, "{reply:?}");
    });
}

#[test]
fn an_unknown_recipient_is_refused_at_rcpt() {
    run(async |world| {
        let mut smtp = Smtp::inbound(world).await.unwrap();
        smtp.command("MAIL FROM:<dan@example.com>").await.unwrap();
        let reply = smtp.command("RCPT TO:<nobody.here@angiang.gov.vn>").await.unwrap();
        assert_eq!(reply.code, 550, "{reply:?}");
    });
}

#[test]
fn there_is_no_open_relay() {
    run(async |world| {
        for to in [
            "a@example.org",
            "a%example.org@angiang.gov.vn",
            "\"a@example.org\"@angiang.gov.vn",
            "@angiang.gov.vn:a@example.org",
            "a!b@example.org",
            "a@[127.0.0.1]",
            "postmaster@mail.angiang.gov.vn.example.org",
        ] {
            let mut smtp = Smtp::inbound(world).await.unwrap();
            smtp.command("MAIL FROM:<dan@example.com>").await.unwrap();
            let reply = smtp.command(&format!("RCPT TO:<{to}>")).await.unwrap();
            assert!(reply.code >= 500 || reply.code == 454, "{to}: {reply:?}");
        }
    });
}

#[test]
fn a_client_must_log_in_to_submit_and_only_over_tls() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let mut smtp = Smtp::plain(world.address(587)).await.unwrap();
        let reply = smtp.auth(&an.address, &an.password).await.unwrap();
        assert!(reply.code >= 500, "a password was taken in clear text: {reply:?}");
        let reply = smtp.send(&an.address, &[&an.address], "x").await.unwrap();
        assert!(reply.code >= 500, "{reply:?}");
        let mut smtp = Smtp::inbound(world).await.unwrap();
        assert!(smtp.auth(&an.address, &an.password).await.unwrap().code >= 500, "AUTH on port 25");
    });
}

#[test]
fn a_wrong_password_is_refused_everywhere() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let refusal = Smtp::submissions(world, &an.address, "wrong").await.err().unwrap().to_string();
        assert!(refusal.contains("535"), "{refusal}");
        assert!(imap::log_in(world, &an.address, "wrong").await.is_err());
        assert!(imap::log_in(world, &unique("nobody@angiang.gov.vn"), &an.password).await.is_err());
        imap::log_in(world, &an.address, &an.password).await.unwrap();
    });
}

#[test]
fn nobody_sends_as_somebody_else() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        let text = message(&binh.address, &an.address, "forged", "x");
        let reply = smtp.send(&binh.address, &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 553, "{reply:?}");
    });
}

#[test]
fn nobody_sends_under_another_name_though_the_envelope_is_right() {
    run(async |world| {
        let alias = format!("{}@angiang.gov.vn", unique("alias"));
        let an = world.mailbox(json!({"aliases": [alias]})).await;
        let binh = world.mailbox(json!({})).await;
        let mut smtp = Smtp::submissions(world, &an.address, &an.password).await.unwrap();
        let (own, other) = (an.address.as_str(), binh.address.as_str());
        for (from, expected) in [
            (format!("From: Nguyễn An <{}>", own.to_uppercase()), 250),
            (format!("From: =?UTF-8?Q?Nguy=E1=BB=85n?= <{alias}>\nSender: {own}"), 250),
            (format!("From: \"{own}\" <{other}>"), 550),
            (format!("From: {own}, {other}"), 550),
            (format!("From: {own}\nFrom: {other}"), 550),
            (format!("From: {own}\nSender: {other}"), 550),
            (format!("From : {other}"), 550),
            (format!("From: {own} <{other}>"), 550),
            ("From: lanh dao:;".to_owned(), 550),
            ("X-From: nobody".to_owned(), 550),
        ] {
            let text = format!("{from}\nTo: {other}\nSubject: name\n\nx\n");
            let reply = smtp.send(own, &[other], &text).await.unwrap();
            assert_eq!(reply.code, expected, "{from}: {reply:?}");
        }
        let kind = "multipart/report; report-type=disposition-notification; boundary=b";
        for (from, kind, expected) in [(own, kind, 250), (own, "text/plain", 550), (other, kind, 550)] {
            let text = format!("From: {from}\nTo: {other}\nContent-Type: {kind}\n\n--b\n\nx\n--b--\n");
            let reply = smtp.send("", &[other], &text).await.unwrap();
            assert_eq!(reply.code, expected, "{from} {kind}: {reply:?}");
        }
    });
}

#[test]
fn a_forged_verdict_does_not_pass_and_is_removed() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = unique("forged");
        let text = format!(
            "Mail-Verdict: {} action=no action score=0\nJournal-Id: forged\n{}",
            "0".repeat(64),
            message("dan@example.com", &an.address, &subject, "x")
        );
        let reply =
            Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        let read = imap::wait_for(world, &an, &subject).await;
        assert!(!read.contains("Mail-Verdict") && !read.contains("Journal-Id: forged"), "{read}");
    });
}
