//! A card of the list: vCard 4.0 (RFC 6350), in UTF-8.

use super::Entry;

/// Octets of a line, the line end not counted (RFC 6350, 3.2).
const LINE: usize = 75;

/// One card. A name is required (6.2.1): who has none has the address for it.
pub(super) fn card(entry: &Entry) -> String {
    let Entry { unit, display_name, position, address } = entry;
    let name = display_name.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(address);
    let mut lines = vec!["BEGIN:VCARD".to_owned(), "VERSION:4.0".into(), format!("FN:{}", text(name))];
    lines.extend(position.as_deref().map(|position| format!("TITLE:{}", text(position))));
    lines.extend(unit.as_deref().map(|unit| format!("ORG:{}", text(unit))));
    lines.push(format!("EMAIL:{}", text(address)));
    lines.push("END:VCARD".into());
    lines.iter().map(|line| fold(line)).collect()
}

/// A value without what would end it (3.4). A semicolon would begin the next part of an `ORG`; other control characters
/// have no place in a value.
fn text(value: &str) -> String {
    let value = value.replace("\r\n", "\n");
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | ',' | ';' => text.extend(['\\', c]),
            '\n' | '\r' => text.push_str("\\n"),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// A line with its end, in pieces that are not too long; none is cut within a character.
fn fold(line: &str) -> String {
    let (mut folded, mut length) = (String::with_capacity(line.len() + 8), 0);
    for c in line.chars() {
        if length + c.len_utf8() > LINE {
            folded.push_str("\r\n ");
            length = 1;
        }
        folded.push(c);
        length += c.len_utf8();
    }
    folded + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, unit: &str) -> Entry {
        Entry {
            display_name: Some(name.into()),
            unit: Some(unit.into()),
            position: Some("Phó Giám đốc".into()),
            address: "an@x.vn".into(),
        }
    }

    #[test]
    fn a_card_has_what_is_public_and_nothing_ends_a_value_early() {
        let expected = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:An\\; Nguyễn\\, \\\\\\nEMAIL:x\r\nTITLE:Phó Giám đốc\r\n\
            ORG:Sở\\; Nội vụ\r\nEMAIL:an@x.vn\r\nEND:VCARD\r\n";
        assert_eq!(card(&entry("An; Nguyễn, \\\r\nEMAIL:x", "Sở; Nội vụ")), expected);
        let nameless = Entry { address: "vanthu@x.vn".into(), ..Entry::default() };
        let expected = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:vanthu@x.vn\r\nEMAIL:vanthu@x.vn\r\nEND:VCARD\r\n";
        assert_eq!(card(&nameless), expected);
    }

    proptest! {
        #[test]
        fn lines_are_short_and_unfold_to_what_was_folded(name in "\\PC{1,120}", unit in any::<String>()) {
            let card = card(&entry(&name, &unit));
            prop_assert!(card.split("\r\n").all(|line| line.len() <= LINE));
            prop_assert!(!card.replace("\r\n", "").contains(['\r', '\n']));
            let whole = card.replace("\r\n ", "");
            let org = format!("ORG:{}\r\n", text(&unit));
            prop_assert!(whole.contains(&org), "{}", whole);
            prop_assert_eq!(whole.matches("\r\nEND:VCARD").count(), 1);
        }
    }
}
