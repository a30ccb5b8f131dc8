//! Addresses as the directory keeps them. Input is what a client typed; output is folded, or an error.

/// Why text is not an address.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// There is no `@`, or nothing on one side of it.
    #[error("an address has a local part, an @ and a domain")]
    NoDomain,
    /// Longer than 254 octets (RFC 5321, 4.5.3.1.3).
    #[error("an address has at most 254 octets")]
    TooLong,
    /// A control character or space in it.
    #[error("an address has no spaces or control characters")]
    BadCharacter,
}

/// The form under which `address` is looked up: ASCII lower case, quotes around a local part that needs none removed.
/// Postfix asks in whatever case the client used.
///
/// # Errors
/// Text that cannot be an address of the directory.
pub fn fold(address: &str) -> Result<String, AddressError> {
    let (local, domain) = address.rsplit_once('@').ok_or(AddressError::NoDomain)?;
    let unquoted = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(local);
    if unquoted.is_empty() || domain.is_empty() {
        return Err(AddressError::NoDomain);
    }
    if address.len() > 254 {
        return Err(AddressError::TooLong);
    }
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(AddressError::BadCharacter);
    }
    Ok(format!("{unquoted}@{domain}").to_ascii_lowercase())
}

/// The address without its detail (RFC 5233), and the detail: `an+viec@x.vn` is for `an@x.vn`, about `viec`.
#[must_use]
pub fn without_detail(address: &str) -> Option<(String, &str)> {
    let (local, domain) = address.rsplit_once('@')?;
    let (user, detail) = local.split_once('+').filter(|(user, _)| !user.is_empty())?;
    Some((format!("{user}@{domain}"), detail))
}

/// The same address with a detail.
#[must_use]
pub fn with_detail(address: &str, detail: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}+{detail}@{domain}"),
        None => address.to_owned(),
    }
}

/// The part behind the last `@`; empty if there is none.
#[must_use]
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_needless_quotes_are_folded() {
        assert_eq!(fold("An.Nguyen@AnGiang.gov.vn").as_deref(), Ok("an.nguyen@angiang.gov.vn"));
        assert_eq!(fold("\"an\"@x.vn").as_deref(), Ok("an@x.vn"));
    }

    #[test]
    fn a_detail_is_taken_off_and_put_back() {
        assert_eq!(without_detail("an+viec+nha@x.vn"), Some(("an@x.vn".into(), "viec+nha")));
        assert_eq!(without_detail("an@x.vn"), None);
        assert_eq!(without_detail("+an@x.vn"), None);
        assert_eq!(with_detail("an@x.vn", "viec+nha"), "an+viec+nha@x.vn");
    }

    #[test]
    fn text_without_a_domain_is_refused() {
        for text in ["", "an", "@x.vn", "an@", "\"\"@x.vn"] {
            assert_eq!(fold(text), Err(AddressError::NoDomain), "{text}");
        }
        assert_eq!(fold("a b@x.vn"), Err(AddressError::BadCharacter));
        assert_eq!(fold(&format!("{}@x.vn", "a".repeat(260))), Err(AddressError::TooLong));
    }
}
