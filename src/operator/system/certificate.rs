//! Which certificate is served: the user's if clients would take it, else what is served already while that is good, else
//! one made here. Pure; the caller makes the pair that is asked for.

use k8s_openapi::api::core::v1::Secret;

use super::{
    pair::{Pair, PairError},
    values::Hostname,
};
use crate::conditions::Finding;

/// The condition that tells of the served pair.
pub const CONDITION: &str = "CertificateValid";

/// What is to be served.
#[derive(Debug, PartialEq, Eq)]
pub enum Serve {
    /// This pair.
    Pair(Pair),
    /// A new self-signed one.
    NewSelfSigned,
}

/// Decides what is served. `wanted` is the name of the user's Secret, with the Secret if it is there; `served` is the
/// Secret that the pods mount.
#[must_use]
pub fn decide(
    wanted: Option<(&str, Option<&Secret>)>,
    served: Option<&Secret>,
    hostname: &Hostname,
    now: i64,
) -> (Serve, Finding) {
    let Some((name, secret)) = wanted else {
        let message = format!(
            "clients are shown a self-signed certificate; put one for {hostname} into a Secret and name it in spec.tls.secretName"
        );
        return (keep(served, hostname, now, true), Finding::no(CONDITION, "SelfSigned", message));
    };
    let checked = secret.ok_or(PairError::SecretMissing).and_then(Pair::read).and_then(|pair| {
        pair.check(hostname, now)?;
        Ok(pair)
    });
    match checked {
        Ok(pair) => {
            let message = format!("Secret {name} holds a certificate for {hostname} and its key");
            (Serve::Pair(pair), Finding::yes(CONDITION, "Valid", message))
        }
        Err(error) => {
            let serve = keep(served, hostname, now, false);
            let instead = match &serve {
                Serve::Pair(pair) if !pair.self_signed => "the certificate served so far is kept",
                _ => "a self-signed one is served",
            };
            let message = format!("Secret {name}: {error}; {}. Meanwhile {instead}", error.remedy(name));
            (serve, Finding::no(CONDITION, error.reason(), message))
        }
    }
}

/// What is served already, if clients still take it; of those made here, if it is not time to replace it.
fn keep(served: Option<&Secret>, hostname: &Hostname, now: i64, only_ours: bool) -> Serve {
    let good = |pair: &Pair| {
        let fresh = if pair.self_signed { now < pair.renewal() } else { !only_ours };
        fresh && pair.check(hostname, now).is_ok()
    };
    served.and_then(|secret| Pair::read(secret).ok()).filter(good).map_or(Serve::NewSelfSigned, Serve::Pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::system::pair::self_signed;
    use k8s_openapi::ByteString;

    const NOW: i64 = 1_790_000_000;
    const DAY: i64 = 86_400;

    fn hostname() -> Hostname {
        Hostname::parse("mail.x.vn").unwrap()
    }

    /// What a user would bring: not made here, for these names, until `days` from now.
    fn user(names: &[&str], days: i64) -> Secret {
        let date = |seconds| {
            let date = k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap().to_string();
            let part = |range: std::ops::Range<usize>| date[range].parse::<u8>().unwrap();
            rcgen::date_time_ymd(date[..4].parse().unwrap(), part(5..7), part(8..10))
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = date(NOW - 30 * DAY);
        params.not_after = date(NOW + days * DAY);
        let key = rcgen::KeyPair::generate().unwrap();
        secret(params.self_signed(&key).unwrap().pem().as_bytes(), key.serialize_pem().as_bytes())
    }

    fn secret(certificate: &[u8], key: &[u8]) -> Secret {
        let data = [("tls.crt", certificate), ("tls.key", key)];
        let data = data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.to_owned())));
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn of(pair: &Pair) -> Secret {
        secret(&pair.certificate, &pair.key)
    }

    fn reason(wanted: Option<&Secret>) -> &'static str {
        decide(Some(("cert", wanted)), None, &hostname(), NOW).1.reason
    }

    #[test]
    fn a_user_pair_is_served_and_called_valid_only_when_clients_would_take_it() {
        let good = user(&["mail.x.vn"], 30);
        let (serve, finding) = decide(Some(("cert", Some(&good))), None, &hostname(), NOW);
        assert_eq!((serve, finding.status), (Serve::Pair(Pair::read(&good).unwrap()), Some(true)));
        assert_eq!(reason(Some(&user(&["*.x.vn"], 30))), "Valid");

        assert_eq!(reason(None), "SecretMissing");
        assert_eq!(reason(Some(&user(&["mail.x.vn"], -1))), "Expired");
        assert_eq!(reason(Some(&user(&["x.vn", "*.mail.x.vn", "*.vn"], 30))), "HostnameMismatch");
        let other = user(&["mail.x.vn"], 30);
        let part = |secret: &Secret, key: &str| secret.data.as_ref().unwrap()[key].0.clone();
        let mixed = secret(&part(&good, "tls.crt"), &part(&other, "tls.key"));
        assert_eq!(reason(Some(&mixed)), "Mismatch");
        assert_eq!(reason(Some(&secret(b"x", &part(&good, "tls.key")))), "Unreadable");
        assert_eq!(reason(Some(&secret(&part(&good, "tls.crt"), b"x"))), "Unreadable");
        assert_eq!(reason(Some(&secret(&part(&good, "tls.crt"), b""))), "KeyMissing");
    }

    #[test]
    fn a_bad_user_pair_leaves_what_is_served_while_that_is_good() {
        let served = user(&["mail.x.vn"], 10);
        let bad = user(&["other.vn"], 30);
        let (serve, finding) = decide(Some(("cert", Some(&bad))), Some(&served), &hostname(), NOW);
        assert_eq!(serve, Serve::Pair(Pair::read(&served).unwrap()));
        assert!(
            finding.message.contains("kept") && finding.message.contains("other.vn"),
            "{}",
            finding.message
        );
        let (serve, _) = decide(Some(("cert", Some(&bad))), Some(&served), &hostname(), NOW + 11 * DAY);
        assert_eq!(serve, Serve::NewSelfSigned);
    }

    #[test]
    fn without_a_user_pair_a_self_signed_one_is_made_once_and_replaced_after_two_thirds() {
        let (serve, finding) = decide(None, None, &hostname(), NOW);
        assert_eq!((serve, finding.reason), (Serve::NewSelfSigned, "SelfSigned"));
        let pair = self_signed(&hostname(), NOW).unwrap();
        assert!(pair.self_signed && pair.check(&hostname(), NOW).is_ok());
        let at = |days: i64| decide(None, Some(&of(&pair)), &hostname(), NOW + days * DAY).0;
        assert_eq!(at(200), Serve::Pair(pair.clone()));
        assert_eq!(at(250), Serve::NewSelfSigned);
        let renamed = Hostname::parse("new.x.vn").unwrap();
        assert_eq!(decide(None, Some(&of(&pair)), &renamed, NOW).0, Serve::NewSelfSigned);
    }

    #[test]
    fn a_user_pair_whose_reference_is_gone_is_not_kept() {
        assert_eq!(decide(None, Some(&user(&["mail.x.vn"], 30)), &hostname(), NOW).0, Serve::NewSelfSigned);
    }
}
