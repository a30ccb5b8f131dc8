//! Which DKIM key a domain signs with, which comes next and which records are still to be kept: one pure decision.
//!
//! A new key is made and its record published first; signing goes over when the record was seen, or without `dnsCheck`
//! after [`WITHOUT_CHECK`]. The former record stays for [`KEPT`], since mail on its way was signed with it. There is a
//! key to sign with at every moment.

use serde::{Deserialize, Serialize};

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// How long a former record is to be kept: a message may wait in queues for five days and in a mailbox unread.
pub const KEPT: i64 = 7 * DAY;
/// When signing goes over to a key whose record nobody looks up.
pub const WITHOUT_CHECK: i64 = 3 * DAY;

/// A key by its selector.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The selector.
    pub selector: String,
    /// `spec.dkim.selector` for which it was made.
    pub base: String,
    /// Seconds of Unix time: since when it signs, since when it is to be published, or until when it is to be kept.
    pub at: i64,
}

/// The keys of a domain.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Mail is signed with it.
    pub signing: Dated,
    /// Signing goes over to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Dated>,
    /// Their records are to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Dated>,
}

/// What is wanted of a domain's keys, and what the DNS has of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// `spec.dkim.selector`.
    pub selector: String,
    /// The age in seconds at which a key is replaced.
    pub rotate_every: Option<i64>,
    /// Whether records are looked up.
    pub dns_check: bool,
    /// The selector of a next key whose record was seen.
    pub seen: Option<String>,
    /// Whether all stays as it is: what is wanted cannot be read.
    pub hold: bool,
}

impl Ring {
    /// The keys of a domain that signs with `selector` from now on.
    #[must_use]
    pub fn new(selector: &str, now: i64) -> Self {
        let signing = Dated { selector: selector.to_owned(), base: selector.to_owned(), at: now };
        Self { signing, next: None, former: Vec::new() }
    }

    /// Every selector whose key is kept.
    pub fn selectors(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.signing).chain(&self.next).chain(&self.former);
        all.map(|key| key.selector.as_str())
    }

    /// The keys as they are to be at `now`. `usable` says whether the next key can be signed with.
    #[must_use]
    pub fn turn(&self, wish: &Wish, usable: impl Fn(&str) -> bool, now: i64) -> Self {
        let mut ring = self.clone();
        if wish.hold {
            return ring;
        }
        ring.former.retain(|key| key.at > now);
        let old = wish.rotate_every.is_some_and(|age| now - ring.signing.at >= age);
        if ring.signing.base == wish.selector && !old {
            ring.next = None;
            return ring;
        }
        if ring.next.as_ref().is_none_or(|next| next.base != wish.selector) {
            let selector = ring.fresh(&wish.selector, now);
            ring.next = Some(Dated { selector, base: wish.selector.clone(), at: now });
        }
        let goes_over = |next: &mut Dated| {
            let published = if wish.dns_check {
                wish.seen.as_ref() == Some(&next.selector)
            } else {
                now - next.at >= WITHOUT_CHECK
            };
            published && usable(&next.selector)
        };
        if let Some(next) = ring.next.take_if(goes_over) {
            ring.former.retain(|key| key.selector != next.selector);
            let former = std::mem::replace(&mut ring.signing, Dated { at: now, ..next });
            ring.former.push(Dated { at: now + KEPT, ..former });
        }
        ring
    }

    /// When [`Self::turn`] may come to something else though nothing was seen.
    #[must_use]
    pub fn due(&self, wish: &Wish) -> Option<i64> {
        if wish.hold {
            return None;
        }
        let former = self.former.iter().map(|key| key.at).min();
        let over = self.next.as_ref().filter(|_| !wish.dns_check).map(|next| next.at + WITHOUT_CHECK);
        let old = wish.rotate_every.filter(|_| self.next.is_none()).map(|age| self.signing.at + age);
        [former, over, old].into_iter().flatten().min()
    }

    /// A selector that nothing has: the wished one, or with the date when a key of that selector signs.
    fn fresh(&self, base: &str, now: i64) -> String {
        if self.signing.base != base {
            return base.to_owned();
        }
        let day = k8s_openapi::jiff::Timestamp::from_second(now).unwrap_or_default();
        let mut selector = format!("{base}-{}", day.strftime("%Y%m%d"));
        while self.selectors().any(|taken| taken == selector) {
            selector.push('x');
        }
        selector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_564_800; // 2026-11-25

    fn wish(selector: &str) -> Wish {
        Wish {
            selector: selector.into(),
            rotate_every: Some(90 * DAY),
            dns_check: true,
            seen: None,
            hold: false,
        }
    }

    /// The ring as `signing > next | former`.
    fn shown(ring: &Ring) -> String {
        let next = ring.next.as_ref().map_or("", |next| &next.selector);
        let former: Vec<_> = ring.former.iter().map(|key| &*key.selector).collect();
        format!("{} > {next} | {}", ring.signing.selector, former.join(","))
    }

    #[test]
    fn a_key_is_replaced_when_it_is_old_or_another_selector_is_wished_and_its_successor_was_seen() {
        let first = Ring::new("mail", NOW);
        let pending = Ring {
            next: Some(Dated { selector: "mail-20260101".into(), base: "mail".into(), at: NOW }),
            signing: Dated { at: NOW - 90 * DAY, ..first.signing.clone() },
            former: Vec::new(),
        };
        let seen = |selector: &str| Wish { seen: Some(selector.into()), ..wish("mail") };
        let unchecked = Wish { dns_check: false, ..wish("mail") };
        let never = Wish { rotate_every: None, ..wish("mail") };
        let table: Vec<(&str, &Ring, Wish, i64, &str)> = vec![
            ("young", &first, wish("mail"), NOW + 89 * DAY, "mail >  | "),
            ("old", &first, wish("mail"), NOW, "mail >  | "),
            ("old by now", &first, wish("mail"), NOW + 90 * DAY, "mail > mail-20270223 | "),
            ("never old", &first, never.clone(), NOW + 900 * DAY, "mail >  | "),
            ("another selector", &first, wish("new"), NOW, "mail > new | "),
            ("not seen", &pending, wish("mail"), NOW + 30 * DAY, "mail > mail-20260101 | "),
            ("another one seen", &pending, seen("mail"), NOW, "mail > mail-20260101 | "),
            ("seen", &pending, seen("mail-20260101"), NOW, "mail-20260101 >  | mail"),
            ("unchecked, early", &pending, unchecked.clone(), NOW + 2 * DAY, "mail > mail-20260101 | "),
            ("unchecked, late", &pending, unchecked, NOW + 3 * DAY, "mail-20260101 >  | mail"),
            ("wish withdrawn", &pending, never, NOW, "mail >  | "),
            ("wish changed", &pending, wish("other"), NOW, "mail > other | "),
        ];
        for (what, ring, wish, now, expected) in table {
            assert_eq!(shown(&ring.turn(&wish, |_| true, now)), expected, "{what}");
        }
        let unusable = pending.turn(&seen("mail-20260101"), |_| false, NOW);
        assert_eq!(shown(&unusable), "mail > mail-20260101 | ", "a key that cannot sign");
    }

    #[test]
    fn a_former_record_is_kept_for_a_week_and_a_selector_that_comes_back_is_former_no_more() {
        let over = Wish { seen: Some("new".into()), rotate_every: None, ..wish("new") };
        let ring = Ring::new("mail", NOW).turn(&over, |_| true, NOW);
        assert_eq!(shown(&ring), "new >  | mail");
        assert_eq!(ring.due(&over), Some(NOW + KEPT));
        assert_eq!(shown(&ring.turn(&over, |_| true, NOW + KEPT - 1)), "new >  | mail");
        assert_eq!(shown(&ring.turn(&over, |_| true, NOW + KEPT)), "new >  | ");
        let back = Wish { seen: Some("mail".into()), rotate_every: None, ..wish("mail") };
        assert_eq!(shown(&ring.turn(&back, |_| true, NOW + DAY)), "mail >  | new");
    }

    #[test]
    fn turning_twice_comes_to_the_same_and_there_is_always_a_key_to_sign_with() {
        let wishes = [wish("mail"), wish("new"), Wish { dns_check: false, ..wish("mail") }];
        let mut ring = Ring::new("mail", NOW);
        for step in 0..400_i64 {
            let mut wish = wishes[usize::try_from(step).unwrap() / 50 % 3].clone();
            if step % 7 == 0 {
                wish.seen = ring.next.as_ref().map(|next| next.selector.clone());
            }
            let now = NOW + step * DAY;
            let before = ring.signing.selector.clone();
            ring = ring.turn(&wish, |_| true, now);
            let again = ring.turn(&Wish { seen: None, ..wish }, |_| true, now);
            assert_eq!(again, ring, "step {step}");
            assert!(ring.signing.selector == before || ring.former.iter().any(|key| key.selector == before));
            let mut all: Vec<_> = ring.selectors().collect();
            all.sort_unstable();
            all.dedup();
            assert!(ring.former.len() <= 2 && !all.is_empty());
        }
    }
}
