//! Whether whoever logged in may send a message as it is: a pure function of what its headers say and of the directory.
//!
//! Postfix has compared the envelope's sender with the log-in; people see the header. Every address of `From` and of
//! `Sender` must be the log-in's, and where programs might read different addresses there are none.

use super::author::Author;
use crate::{
    agent::directory::Replica,
    directory::fold,
    wire::{from, reply::Reply},
};

/// What the client of a message said before its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    /// The log-in, as the client typed it; none without one.
    pub(super) login: Option<&'a str>,
    /// Whether the reverse path is empty.
    pub(super) null: bool,
}

/// Why a message does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Nobody logged in where one must.
    NoLogin,
    /// No directory is held yet: nothing can be said.
    NoDirectory,
    /// The field of this name is missing, is there twice or more, or its addresses cannot be read for certain.
    Unreadable(&'static str),
    /// This address in the field of this name is not the log-in's.
    NotOwned(&'static str, String),
    /// The reverse path is empty, and the message is no receipt.
    NoReturn,
    /// It comes from outside under this domain of ours.
    Forged(String),
    /// It may be forged under this domain of ours: the name server did not tell.
    Unproven(String),
    /// This recipient is a group that takes no mail from whoever the message is proven to be of.
    NotInvited(String),
}

/// The objection to a message that was submitted, if there is one.
pub(super) fn object(envelope: Envelope, author: &Author, directory: &Replica) -> Option<Objection> {
    let Some(login) = envelope.login.and_then(|login| fold(login).ok()) else {
        return Some(Objection::NoLogin);
    };
    if !directory.loaded() {
        return Some(Objection::NoDirectory);
    }
    let owned = |name: &'static str, values: &[bytes::Bytes]| match values {
        [value] => owned(name, value, |address| directory.owns(&login, address)),
        _ => Err(Objection::Unreadable(name)),
    };
    let sender = if author.sender.is_empty() { Ok(()) } else { owned("Sender", &author.sender) };
    match owned("From", &author.from).and(sender) {
        Err(objection) => Some(objection),
        Ok(()) if envelope.null && !author.receipt => Some(Objection::NoReturn),
        Ok(()) => None,
    }
}

fn owned(name: &'static str, value: &[u8], owns: impl Fn(&str) -> bool) -> Result<(), Objection> {
    let addresses = from::addresses(value).map_err(|_| Objection::Unreadable(name))?;
    match addresses.into_iter().find(|address| !fold(address).is_ok_and(|address| owns(&address))) {
        Some(foreign) => Err(Objection::NotOwned(name, foreign.chars().take(254).collect())),
        None => Ok(()),
    }
}

impl Objection {
    /// What the client is told, in ASCII: Vietnamese without its marks, then English.
    pub(super) fn reply(&self) -> Reply {
        let (code, detail, text) = match self {
            Self::NoLogin => {
                (530, 0, "Tu choi: chua dang nhap. Refused: log in before sending".to_owned())
            }
            Self::NoDirectory => {
                (451, 1, "Chua kiem tra duoc nguoi gui, xin gui lai sau. Sender check unavailable, try again later".to_owned())
            }
            Self::Unreadable(name) => (
                550,
                1,
                format!("Tu choi: tieu de {name} thieu, lap lai hoac sai dang. Refused: the {name} header is missing, repeated or malformed"),
            ),
            Self::NotOwned(name, address) => (
                550,
                1,
                format!("Tu choi: {name} <{address}> khong phai dia chi cua tai khoan da dang nhap. Refused: the {name} address <{address}> does not belong to the account that logged in"),
            ),
            Self::Forged(domain) => (
                550,
                1,
                format!("Tu choi: thu mang ten mien {domain} ma khong dang nhap, khong co chung thuc SPF/DKIM. Refused: mail from {domain} must be submitted with a log-in or pass SPF or DKIM for {domain}"),
            ),
            Self::Unproven(domain) => (
                451,
                1,
                format!("Chua kiem tra duoc SPF/DKIM cua {domain}, xin gui lai sau. SPF and DKIM of {domain} cannot be checked now, try again later"),
            ),
            Self::NotInvited(group) => (
                550,
                1,
                format!("Tu choi: nhom <{0}> chi nhan thu cua nguoi duoc chi dinh, co chung thuc SPF/DKIM. Refused: the group <{0}> takes mail from outside only of senders named for it, with SPF or DKIM for their domain", printable(group)),
            ),
            Self::NoReturn => (
                550,
                1,
                "Tu choi: chi bao nhan thu moi duoc gui voi MAIL FROM trong. Refused: only read receipts may have an empty MAIL FROM".to_owned(),
            ),
        };
        Reply::new(code, 7, detail, &text)
    }
}

/// An address as a client typed it, for a reply in ASCII.
fn printable(address: &str) -> String {
    address.chars().filter(char::is_ascii_graphic).take(254).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::directory::testing;

    fn author(headers: &[(&str, &str)]) -> Author {
        let mut author = Author::default();
        for (name, value) in headers {
            author.header(name.as_bytes(), value.as_bytes());
        }
        author
    }

    fn said(headers: &[(&str, &str)]) -> Option<Objection> {
        let envelope = Envelope { login: Some("An@X.vn"), null: false };
        object(envelope, &author(headers), &testing::replica())
    }

    #[test]
    fn a_log_in_sends_from_its_own_addresses() {
        for value in ["an@x.vn", "Nguyễn An <AN@X.VN>", "\"Văn thư\" <van-thu@x.vn>", "an@x.vn, van-thu@x.vn"]
        {
            assert_eq!(said(&[("From", value)]), None, "{value}");
            assert_eq!(said(&[("From", value), ("sender", "van-thu@x.vn")]), None, "{value}");
        }
    }

    #[test]
    fn nobody_sends_as_somebody_else_not_even_beside_an_own_address() {
        let foreign = |name, address: &str| Some(Objection::NotOwned(name, address.to_owned()));
        assert_eq!(said(&[("From", "binh@x.vn")]), foreign("From", "binh@x.vn"));
        assert_eq!(said(&[("From", "An <an@x.vn>, chi@example.com")]), foreign("From", "chi@example.com"));
        assert_eq!(said(&[("From", "\"an@x.vn\" <binh@x.vn>")]), foreign("From", "binh@x.vn"));
        assert_eq!(said(&[("From", "an@x.vn"), ("Sender", "binh@x.vn")]), foreign("Sender", "binh@x.vn"));
    }

    #[test]
    fn what_is_missing_twofold_or_broken_is_refused() {
        for headers in [
            &[][..],
            &[("From", "an@x.vn"), ("From", "an@x.vn")],
            &[("From", "")],
            &[("From", "an@x.vn <binh@x.vn>")],
            &[("From", "lanh dao: an@x.vn;")],
            &[("From", "=?utf-8?q?an=40x=2Evn?=")],
        ] {
            assert_eq!(said(headers), Some(Objection::Unreadable("From")), "{headers:?}");
        }
        let twice = [("From", "an@x.vn"), ("Sender", "an@x.vn"), ("Sender", "an@x.vn")];
        assert_eq!(said(&twice), Some(Objection::Unreadable("Sender")));
    }

    #[test]
    fn an_empty_reverse_path_is_for_receipts() {
        let null = Envelope { login: Some("an@x.vn"), null: true };
        let object = |headers: &[(&str, &str)]| object(null, &author(headers), &testing::replica());
        let kind = ("Content-Type", "multipart/report; report-type=disposition-notification");
        assert_eq!(object(&[("From", "an@x.vn")]), Some(Objection::NoReturn));
        assert_eq!(object(&[("From", "an@x.vn"), kind]), None);
        assert!(matches!(object(&[("From", "binh@x.vn"), kind]), Some(Objection::NotOwned(..))));
    }

    #[test]
    fn without_a_log_in_or_a_directory_nothing_passes() {
        let headers = author(&[("From", "an@x.vn")]);
        let nobody = Envelope { login: None, null: false };
        assert_eq!(object(nobody, &headers, &testing::replica()), Some(Objection::NoLogin));
        let an = Envelope { login: Some("an@x.vn"), null: false };
        assert_eq!(object(an, &headers, &testing::empty()), Some(Objection::NoDirectory));
    }

    #[test]
    fn every_objection_has_a_reply_that_old_clients_can_show() {
        for (objection, code) in [
            (Objection::NoLogin, 530),
            (Objection::NoDirectory, 451),
            (Objection::Unreadable("From"), 550),
            (Objection::NotOwned("From", "b@x.vn".into()), 550),
            (Objection::NoReturn, 550),
            (Objection::Forged("x.vn".into()), 550),
            (Objection::Unproven("x.vn".into()), 451),
            (Objection::NotInvited("nhóm@x.vn\r\n".into()), 550),
        ] {
            let reply = objection.reply();
            assert_eq!(reply.code(), code);
            assert!(reply.lines().iter().all(|line| line.is_ascii() && line.len() < 400), "{reply:?}");
        }
    }
}
