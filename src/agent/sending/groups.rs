//! Recipients that are groups: whether whoever sends may write to them.

use super::answer;
use crate::{
    agent::{
        directory::{Found, Replica},
        posting::{admits, invites, restricted},
    },
    api::Posting,
    directory::fold,
    store_login,
    wire::policy::{Action, Request},
};

/// The answer to a recipient that the sender may not write to.
pub(super) fn refuse(replica: &Replica, request: &Request) -> Option<Action> {
    let group = restricted(replica, &request.recipient)?;
    let may = if request.login.is_empty() {
        address(&request.sender).is_some_and(|sender| invites(replica, &group, &sender))
    } else {
        posters(replica, request).iter().any(|poster| admits(replica, &group, poster))
    };
    (!may).then(|| answer(reason(group.posting)))
}

/// The mailboxes that a client which logged in speaks for.
fn posters(replica: &Replica, request: &Request) -> Vec<Found> {
    let addresses = if *request.login == *store_login::LOGIN.as_bytes() {
        // For the Sieve script of a mailbox.
        [address(&request.author), None]
    } else {
        let login = address(&request.login);
        let owned = |sender: &String| login.as_ref().is_some_and(|login| replica.owns(login, sender));
        let sender = address(&request.sender).filter(owned);
        [login, sender]
    };
    addresses.into_iter().flatten().filter_map(|address| replica.find(&address)).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().and_then(|text| fold(text).ok())
}

fn reason(posting: Posting) -> &'static str {
    match posting {
        Posting::Anyone | Posting::System => {
            "550 5.7.1 Nhom chi nhan thu cua nguoi trong he thong da dang nhap. Only people of this mail system may write to this group, logged in"
        }
        Posting::Organisation => {
            "550 5.7.1 Nhom chi nhan thu cua nguoi trong co quan da dang nhap. Only people of its own organisation may write to this group, logged in"
        }
        Posting::Members => {
            "550 5.7.1 Nhom chi nhan thu cua thanh vien. Only its members may write to this group, logged in"
        }
        Posting::Listed => {
            "550 5.7.1 Nhom chi nhan thu cua nguoi duoc chi dinh. Only the senders named for it may write to this group"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::posting::testing::replica;

    fn request(login: &'static str, sender: &'static str, author: &'static str) -> Request {
        Request {
            state: "RCPT".into(),
            login: login.into(),
            sender: sender.into(),
            author: author.into(),
            recipient: "nhom@x.vn".into(),
            instance: "1".into(),
        }
    }

    fn refused(posting: Posting, senders: &[&str], request: &Request) -> bool {
        match refuse(&replica(posting, senders), request) {
            None => false,
            Some(Action::Answer(text)) => {
                assert!(text.starts_with("550 5.7.1 ") && text.is_ascii(), "{text}");
                true
            }
            Some(Action::Dunno) => panic!("no answer"),
        }
    }

    #[test]
    fn an_envelope_is_no_proof_that_somebody_is_one_of_ours() {
        for posting in [Posting::System, Posting::Organisation, Posting::Members, Posting::Listed] {
            for sender in ["an@x.vn", "AN@X.vn", "", "eve@example.com", "nhom@x.vn"] {
                assert!(
                    refused(posting, &["an@x.vn", "@x.vn"], &request("", sender, "")),
                    "{posting:?} {sender}"
                );
            }
        }
        assert!(!refused(Posting::Anyone, &[], &request("", "eve@example.com", "")));
    }

    #[test]
    fn who_is_named_outside_passes_to_the_gate() {
        assert!(!refused(Posting::Listed, &["dan@example.com"], &request("", "Dan@Example.com", "")));
        assert!(!refused(Posting::Members, &[], &request("", "dan@example.com", "")));
        assert!(refused(Posting::System, &[], &request("", "dan@example.com", "")));
    }

    #[test]
    fn a_log_in_counts_and_so_does_the_mailbox_that_it_sends_as() {
        assert!(!refused(Posting::Members, &[], &request("An@x.vn", "an@x.vn", "")));
        assert!(refused(Posting::Members, &[], &request("binh@x.vn", "binh@x.vn", "")));
        assert!(refused(Posting::Members, &[], &request("binh@x.vn", "an@x.vn", "")), "not its own");
        assert!(!refused(Posting::Listed, &["chi@x.vn"], &request("an@x.vn", "chi@x.vn", "")));
        assert!(refused(Posting::Listed, &["chi@x.vn"], &request("binh@x.vn", "chi@x.vn", "")));
    }

    #[test]
    fn sieve_writes_for_its_mailbox_and_nobody_else_says_for_whom() {
        let store = store_login::LOGIN;
        assert!(!refused(Posting::Members, &[], &request(store, "eve@example.com", "an@x.vn")));
        assert!(refused(Posting::Members, &[], &request(store, "an@x.vn", "binh@x.vn")));
        assert!(refused(Posting::System, &[], &request(store, "an@x.vn", "")));
        assert!(refused(Posting::Members, &[], &request("binh@x.vn", "binh@x.vn", "an@x.vn")));
        assert!(refused(Posting::Members, &[], &request("", "eve@example.com", "an@x.vn")));
    }
}
