//! How Cyrus calls the mailbox of an address: `user/LOCAL@DOMAIN`, its folders `user/LOCAL/FOLDER@DOMAIN`.
//!
//! An address comes in, names go out, and the other way round. It must not give a name that means something else to
//! Cyrus: `/` would make a folder of another mailbox, `+` is where Cyrus takes off a folder's name.

/// The domain under whose addresses mail is kept whose mailbox is gone. No client reaches it: no domain of this name is in
/// the DNS, and the directory has no such mailbox.
const RETIRED: &str = "retired.invalid";

/// The address under which the mail of this owner is kept when its mailbox is gone.
#[must_use]
pub fn retired_address(uid: &str) -> String {
    format!("{uid}@{RETIRED}")
}

/// The owner whose mail is kept under this address, if it is such an address.
#[must_use]
pub fn retired_owner(address: &str) -> Option<&str> {
    address.strip_suffix(RETIRED)?.strip_suffix('@')
}

/// The names of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxName<'a> {
    local: &'a str,
    domain: &'a str,
}

impl<'a> MailboxName<'a> {
    /// The names for `address` (folded); none if Cyrus cannot keep a mailbox of that name.
    #[must_use]
    pub fn of(address: &'a str) -> Option<Self> {
        let (local, domain) = address.rsplit_once('@')?;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=#$~'-".contains(c);
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        // Cyrus keeps these two for access rights.
        let reserved = matches!(local, "anyone" | "anonymous");
        let domain_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let fits = !local.is_empty()
            && local.chars().all(good)
            && !dots
            && !reserved
            && !domain.is_empty()
            && domain.chars().all(domain_good);
        fits.then_some(Self { local, domain })
    }

    /// The mailbox itself.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("user/{}@{}", self.local, self.domain)
    }

    /// One of its folders.
    #[must_use]
    pub fn folder(&self, folder: &str) -> String {
        format!("user/{}/{folder}@{}", self.local, self.domain)
    }
}

/// The address whose mailbox has this name in Cyrus, and whether the name is a folder's.
#[must_use]
pub fn owner(name: &[u8]) -> Option<(String, bool)> {
    let (path, domain) = std::str::from_utf8(name).ok()?.strip_prefix("user/")?.rsplit_once('@')?;
    let (local, folder) = path.split_once('/').map_or((path, false), |(local, _)| (local, true));
    Some((format!("{local}@{domain}"), folder))
}

/// A folder of a mailbox as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The address of the mailbox.
    pub address: String,
    /// What its owner calls the folder: `INBOX`, `Work/2026`.
    pub path: String,
    /// It was deleted, and Cyrus still keeps it.
    pub deleted: bool,
}

impl Owned {
    fn new(address: String, path: String, deleted: bool) -> Self {
        let path = if path.is_empty() { "INBOX".to_owned() } else { path };
        Self { address, path, deleted }
    }

    /// The folder that Cyrus calls so to its administrator: `user/LOCAL/FOLDER@DOMAIN`, `DELETED/user/…`.
    #[must_use]
    pub fn outer(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let kept = name.strip_prefix("DELETED/");
        let (path, domain) = kept.unwrap_or(name).strip_prefix("user/")?.rsplit_once('@')?;
        let (local, folder) = path.split_once('/').unwrap_or((path, ""));
        Some(Self::new(format!("{local}@{domain}"), folder.to_owned(), kept.is_some()))
    }
    /// The folder that Cyrus calls so inside: `DOMAIN!user.LOCAL.FOLDER`, in which a dot of a name is written as `^`.
    #[must_use]
    pub fn inner(name: &str) -> Option<Self> {
        let (domain, rest) = name.split_once('!')?;
        let kept = rest.strip_prefix("DELETED.");
        let mut parts =
            kept.unwrap_or(rest).strip_prefix("user.")?.split('.').map(|part| part.replace('^', "."));
        let address = format!("{}@{domain}", parts.next()?);
        Some(Self::new(address, parts.collect::<Vec<_>>().join("/"), kept.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cyrus_would_read_differently_has_no_name() {
        for local in ["a/b", "a+b", "a%b", "a*b", "a&b", "a!b", "a{b", "a|b", "a^b", "a?b", "A", "é", ""] {
            assert_eq!(MailboxName::of(&format!("{local}@x.vn")), None, "{local}");
        }
        for address in
            ["anyone@x.vn", "anonymous@x.vn", ".a@x.vn", "a.@x.vn", "a..b@x.vn", "a@", "a@x/y", "a"]
        {
            assert_eq!(MailboxName::of(address), None, "{address}");
        }
    }

    #[test]
    fn folders_stand_before_the_domain() {
        let name = MailboxName::of("an.nguyen@x.vn").unwrap();
        assert_eq!(name.inbox(), "user/an.nguyen@x.vn");
        assert_eq!(name.folder("Sent"), "user/an.nguyen/Sent@x.vn");
        assert_eq!(owner(b"user/an/K\xc3\xa9/x@y@x.vn"), Some(("an@x.vn".into(), true)));
        assert_eq!(owner(b"DELETED/user/an@x.vn"), None);
        assert_eq!(owner(b"user/an"), None);
    }

    #[test]
    fn a_folder_is_its_owners_by_either_of_its_names() {
        let owned = |path: &str, deleted| {
            Some(Owned { address: "an.nguyen@x.vn".into(), path: path.into(), deleted })
        };
        for (inner, outer, folder) in [
            ("x.vn!user.an^nguyen", "user/an.nguyen@x.vn", owned("INBOX", false)),
            ("x.vn!user.an^nguyen.Work.B c^d", "user/an.nguyen/Work/B c.d@x.vn", owned("Work/B c.d", false)),
            (
                "x.vn!DELETED.user.an^nguyen.Temp.6B0E605A",
                "DELETED/user/an.nguyen/Temp/6B0E605A@x.vn",
                owned("Temp/6B0E605A", true),
            ),
            ("x.vn!shared.x", "shared/x@x.vn", None),
            ("user.an", "user/an", None),
        ] {
            assert_eq!(Owned::inner(inner), folder, "{inner}");
            assert_eq!(Owned::outer(outer.as_bytes()), folder, "{outer}");
        }
    }

    #[test]
    fn a_retired_address_has_a_name_and_leads_back_to_its_owner() {
        let uid = "0d1c5b8e-6a1f-4b7e-9b0a-2f6d1c3e4f50";
        let address = retired_address(uid);
        assert_eq!(MailboxName::of(&address).unwrap().inbox(), format!("user/{uid}@retired.invalid"));
        assert_eq!(retired_owner(&address), Some(uid));
        assert_eq!(retired_owner("an@x.vn"), None);
    }

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_address(address in "[a-z0-9._=#$~'-]{1,20}@[a-z0-9.-]{1,20}") {
            if let Some(name) = MailboxName::of(&address) {
                prop_assert_eq!(owner(name.inbox().as_bytes()), Some((address.clone(), false)));
                prop_assert_eq!(owner(name.folder("Sent").as_bytes()), Some((address, true)));
            }
        }
    }
}
