//! The list for spreadsheets: RFC 4180, with a byte order mark, without which they take Vietnamese for another script.
//!
//! A cell that begins as a formula does would be calculated (and could send the sheet away) when it is opened: it gets an
//! apostrophe in front, by which spreadsheets know text.

use std::{borrow::Cow, io::Write};

use csv::{Terminator, WriterBuilder};

use super::Entry;

/// What a formula may begin with, in spreadsheets of several makers; the last four are as wide as Chinese characters.
const BEGINNINGS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) fn write(entries: &[Entry], out: &mut impl Write) -> std::io::Result<()> {
    out.write_all("\u{feff}".as_bytes())?;
    let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    table.write_record(["displayName", "position", "unit", "address"])?;
    for Entry { unit, display_name, position, address } in entries {
        let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default().into_owned();
        table.write_record([&text(display_name), &text(position), &text(unit), &*cell(address)])?;
    }
    table.flush()
}

/// A cell that is text in every spreadsheet.
fn cell(text: &str) -> Cow<'_, str> {
    if text.trim_start_matches([' ', '\u{a0}', '\n']).starts_with(BEGINNINGS) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_are_no_formulas() {
        let entry = |name: &str, unit: &str| Entry {
            display_name: Some(name.into()),
            unit: Some(unit.into()),
            address: "an@x.vn".into(),
            ..Entry::default()
        };
        let entries = [
            entry("Nguyễn Văn An", "Sở \"Nội vụ\", tỉnh"),
            entry("=HYPERLINK(\"http://x\")", "  @x"),
            entry("-1", "a\r\nb"),
            Entry { address: "=a@x.vn".into(), ..Entry::default() },
        ];
        let mut out = Vec::new();
        write(&entries, &mut out).unwrap();
        let expected = "\u{feff}displayName,position,unit,address\r\n\
            Nguyễn Văn An,,\"Sở \"\"Nội vụ\"\", tỉnh\",an@x.vn\r\n\
            \"'=HYPERLINK(\"\"http://x\"\")\",,'  @x,an@x.vn\r\n\
            '-1,,\"a\r\nb\",an@x.vn\r\n\
            ,,,'=a@x.vn\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let entry = Entry {
            display_name: Some("Trần, \"Bình\"\n".into()),
            address: "b@x.vn".into(),
            ..Entry::default()
        };
        let mut out = Vec::new();
        write(&[entry], &mut out).unwrap();
        let mut table = csv::Reader::from_reader(&out[3..]);
        let record = table.records().next().unwrap().unwrap();
        assert_eq!(record.iter().collect::<Vec<_>>(), ["Trần, \"Bình\"\n", "", "", "b@x.vn"]);
    }
}
