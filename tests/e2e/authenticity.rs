//! Who mail from outside is from: our own domains, other domains with a DMARC record, and what Sieve sends.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mail_operator::api::MailDomain;
use serde_json::json;

use crate::{
    imap, sieve,
    smtp::{Reply, Smtp, message},
    world::{World, domain, eventually, parse, run, unique},
};

/// Records of a world outside, for the cluster's name server, which reads them anew when the serial grew.
const ZONE: &str = r#"
$ORIGIN mail-test.example.
@ 60 IN SOA ns hostmaster 4 60 60 60 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.1
partner 60 IN TXT "v=spf1 ip4:10.0.0.0/8 ip4:172.16.0.0/12 ip4:192.168.0.0/16 ip4:100.64.0.0/10 -all"
own 60 IN TXT "v=spf1 ip4:10.0.0.0/8 ip4:172.16.0.0/12 ip4:192.168.0.0/16 ip4:100.64.0.0/10 -all"
_dmarc.reject 60 IN TXT "v=DMARC1; p=reject"
reject 60 IN TXT "v=spf1 -all"
_dmarc.quarantine 60 IN TXT "v=DMARC1; p=quarantine"
quarantine 60 IN A 192.0.2.1
"#;
const SERVER: &str = "mail-test.example:1053 {\n  errors\n  file /etc/coredns-custom/mail-test.zone\n}\n";

/// Adds the zone to the local cluster's name server, which reads it within two minutes.
pub(crate) async fn serve_zone(world: &World) {
    let map: ConfigMap = parse(json!({
        "metadata": {"name": "coredns-custom", "namespace": "kube-system"},
        "data": {"mail-test.server": SERVER, "mail-test.zone": ZONE},
    }));
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "kube-system");
    let params = PatchParams::apply("e2e-authenticity").force();
    maps.patch("coredns-custom", &params, &Patch::Apply(&map)).await.unwrap();
}

async fn from_outside(world: &World, envelope: &str, header: &str, to: &str, subject: &str) -> Reply {
    let text = message(header, to, subject, "Kính gửi.");
    Smtp::inbound(world).await.unwrap().send(envelope, &[to], &text).await.unwrap()
}

#[test]
fn our_own_domain_from_outside_is_refused_unless_it_is_proven() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        for envelope in [an.address.as_str(), "dan@example.com", ""] {
            let reply = from_outside(world, envelope, &an.address, &binh.address, "forged").await;
            assert_eq!(reply.code, 550, "{envelope}: {reply:?}");
            assert!(reply.text.contains("must be submitted with a log-in"), "{reply:?}");
        }
        let reply = from_outside(world, "dan@example.com", "dan@example.com", &binh.address, "other").await;
        assert_eq!(reply.code, 250, "{reply:?}");

        serve_zone(world).await;
        let (name, own) = (unique("own"), "own.mail-test.example");
        world.apply(parse::<MailDomain>(domain(&name, own))).await;
        world.ready::<MailDomain>(&name, Duration::from_mins(1)).await;
        let from = format!("dan@{own}");
        eventually(Duration::from_mins(5), "SPF proves our domain", async || {
            let reply = from_outside(world, &from, &from, &binh.address, "proven").await;
            if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        let reply = from_outside(world, "dan@example.com", &from, &binh.address, "forged").await;
        assert_eq!(reply.code, 550, "{reply:?}");
    });
}

#[test]
fn what_a_domain_asks_for_in_its_dmarc_record_is_done() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        serve_zone(world).await;
        let from = "dan@reject.mail-test.example";
        eventually(Duration::from_mins(5), "forged mail of a strict domain is refused", async || {
            let reply = from_outside(world, from, from, &an.address, "strict").await;
            if reply.code == 554 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        let (from, subject) = ("dan@quarantine.mail-test.example", unique("doubtful"));
        eventually(Duration::from_mins(5), "forged mail of a doubtful domain is taken", async || {
            let reply = from_outside(world, from, from, &an.address, &subject).await;
            if reply.code == 250 { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
        let read = imap::wait_for(world, &an, &subject).await;
        assert!(read.contains("X-Spam: Yes"), "{read}");
    });
}

#[test]
fn sieve_answers_in_its_mailbox_name_signed_and_forwards_what_others_wrote() {
    run(async |world| {
        let (an, binh, chi) =
            (world.mailbox(json!({})).await, world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let away = unique("away");
        let script = format!(
            "require [\"vacation\", \"copy\"];\r\nredirect :copy \"{}\";\r\nvacation :subject \"{away}\" :addresses [\"{}\"] \"Toi di vang.\";\r\n",
            chi.address, an.address
        );
        sieve::activate(world, &an, &script).await;
        let subject = unique("question");
        let text = message(&binh.address, &an.address, &subject, "Xin hỏi.");
        let mut smtp = Smtp::submissions(world, &binh.address, &binh.password).await.unwrap();
        let reply = smtp.send(&binh.address, &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        imap::wait_for(world, &an, &subject).await;
        imap::wait_for(world, &chi, &subject).await;
        let answer = imap::wait_for(world, &binh, &away).await;
        assert!(answer.contains("DKIM-Signature:") && answer.contains("d=angiang.gov.vn"), "{answer}");

        // In another's name it answers nothing.
        let forged = unique("forged");
        let script = format!(
            "require [\"vacation\"];\r\nvacation :subject \"{forged}\" :from \"{}\" :addresses [\"{}\"] \"x\";\r\n",
            chi.address, an.address
        );
        sieve::activate(world, &an, &script).await;
        let subject = unique("question");
        let text = message(&binh.address, &an.address, &subject, "Xin hỏi.");
        let reply = smtp.send(&binh.address, &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        imap::wait_for(world, &an, &subject).await;
        assert!(imap::messages(world, &binh, &forged).await.unwrap().is_empty());
    });
}
