//! Rspamd's verdict, as the header that its configuration adds tells it (`rspamd.local.lua`):
//! `<token> action=<action> score=<n> [spf=<domain>] [dkim=<domain>]… [dmarc=<domain>] [unsure]`.
//!
//! A header's value comes in; what it proves of the sender goes out. Without our token it is nobody's verdict.

/// What Rspamd found out about where a message comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The domains of which SPF or DKIM prove that the message is theirs; and the domain of `From`, where DMARC does.
    proven: Vec<Box<str>>,
    /// Whether the name server failed on the way: then what is not proven may be true.
    unsure: bool,
}

impl Verdict {
    /// The verdict in this value.
    pub(super) fn parse(value: &[u8], token: &str) -> Option<Self> {
        let text = std::str::from_utf8(value.trim_ascii_start()).ok()?;
        let mut verdict = Self::default();
        for word in text.strip_prefix(token)?.strip_prefix(' ')?.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("spf" | "dkim" | "dmarc", domain)) => verdict.proven.push(domain.into()),
                None => verdict.unsure |= word == "unsure",
                Some(_) => {}
            }
        }
        Some(verdict)
    }

    /// Whether the message is proven to be of `domain` (folded).
    pub(super) fn proves(&self, domain: &str) -> bool {
        self.proven.iter().any(|proven| &**proven == domain)
    }

    /// Whether more could be proven later.
    pub(super) const fn unsure(&self) -> bool {
        self.unsure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_proven_by_any_of_the_three() {
        let text = b" t0 action=no-action score=1.00 spf=a.vn dkim=b.vn dkim=c.vn dmarc=d.vn";
        let verdict = Verdict::parse(text, "t0").unwrap();
        assert!(["a.vn", "b.vn", "c.vn", "d.vn"].iter().all(|domain| verdict.proves(domain)));
        assert!(!verdict.proves("no-action") && !verdict.proves("x.a.vn") && !verdict.unsure());
        assert!(Verdict::parse(b"t0 action=x unsure", "t0").unwrap().unsure());
    }

    #[test]
    fn without_our_token_there_is_no_verdict() {
        for value in ["", "t0", "t0x action=no-action", "t1 spf=a.vn", "spf=a.vn t0 "] {
            assert_eq!(Verdict::parse(value.as_bytes(), "t0"), None, "{value}");
        }
    }
}
