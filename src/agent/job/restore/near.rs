//! What is near something that is not there, in lines: whoever asked for a message that no backup has is told what it has. Pure.

use jiff::Timestamp;

use super::{
    head::Head,
    select::{is_asked_for, is_in_time},
};
use crate::{
    api::restore::Filter,
    backup::manifest::{Contents, Message},
};

/// So many lines at the most.
pub const MOST: usize = 20;
/// Longer texts are compared by their beginnings.
const LONGEST: usize = 100;

/// Those of the names that are most like the wanted one, best first.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut all: Vec<_> = names.map(|name| (distance(wanted, name), name)).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().take(most).map(|(_, name)| name).collect()
}

/// What a mailbox has, if nothing of it fits as far as its manifest tells.
#[must_use]
pub fn in_mailbox(contents: &Contents, filter: &Filter) -> Vec<String> {
    let everywhere = Filter { folder: None, ..filter.clone() };
    let at_any_time = Filter { after: None, before: None, ..filter.clone() };
    let live = |filter: &Filter| -> Vec<&Message> {
        let folders = contents.folders.iter().filter(|(folder, _)| is_asked_for(folder, filter));
        let messages = folders.flat_map(|(_, messages)| messages);
        messages.filter(|it| (filter.expunged || !it.expunged) && is_in_time(it, filter)).collect()
    };
    let mut lines = Vec::new();
    let deleted = Filter { expunged: true, ..filter.clone() };
    match live(&deleted).len() {
        0 => {}
        count if filter.expunged => lines.push(format!("{count} were moved to other folders")),
        count => {
            lines
                .push(format!("{count} had been deleted before the backup; expunged: true brings them back"));
        }
    }
    let there = live(&at_any_time);
    if let (Some(first), Some(last)) =
        (there.iter().map(|it| it.date).min(), there.iter().map(|it| it.date).max())
    {
        lines.push(format!(
            "{} were delivered at other times, from {} to {}",
            there.len(),
            day(first),
            day(last)
        ));
    } else if let Some(wanted) = &filter.folder {
        let known = contents.folders.iter().filter(|(folder, _)| is_asked_for(folder, &everywhere));
        let known: Vec<_> =
            known.map(|(folder, messages)| (folder.folder.as_str(), messages.len())).collect();
        let names = nearest(wanted, known.iter().map(|(name, _)| *name), MOST);
        let count =
            |name: &str| known.iter().filter(|(other, _)| *other == name).map(|(_, count)| count).sum();
        lines.extend(names.into_iter().map(|name| {
            let count: usize = count(name);
            format!("there is a folder {name} with {count} messages")
        }));
    }
    lines
}

/// The messages whose headers are most like what was asked for, of those that were read.
#[derive(Debug, Default)]
pub struct Heads(Vec<(usize, String)>);

impl Heads {
    /// One that does not fit.
    pub fn see(&mut self, filter: &Filter, head: &Head, line: impl FnOnce() -> String) {
        let apart = |wanted: &Option<String>, text: &str| {
            wanted.as_deref().map_or(0, |wanted| unlikeness(wanted, text))
        };
        let far = apart(&filter.message_id, head.message_id.trim_matches(['<', '>']))
            + apart(&filter.from, &head.from)
            + apart(&filter.subject, &head.subject);
        if self.0.len() >= MOST && self.0.last().is_some_and(|(last, _)| *last <= far) {
            return;
        }
        let at = self.0.partition_point(|(other, _)| *other <= far);
        self.0.insert(at, (far, line()));
        self.0.truncate(MOST);
    }

    /// In lines, the nearest first.
    #[must_use]
    pub fn lines(self) -> Vec<String> {
        self.0.into_iter().map(|(_, line)| line).collect()
    }
}

/// How much of what was asked for is not in a text: words first, for subjects have more of them than is asked for.
fn unlikeness(wanted: &str, text: &str) -> usize {
    let text = text.to_lowercase();
    let wanted = wanted.to_lowercase();
    let words = wanted.split_whitespace();
    let lacking: usize = words.filter(|word| !text.contains(word)).map(|word| word.chars().count()).sum();
    lacking * LONGEST + distance(&wanted, &text)
}

/// How many characters differ, without regard to case (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| -> Vec<char> { text.to_lowercase().chars().take(LONGEST).collect() };
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn day(seconds: u32) -> String {
    Timestamp::from_second(i64::from(seconds)).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::manifest::{Folder, Guid};

    fn contents() -> Contents {
        let folder = |name: &str| Folder {
            folder: name.into(),
            name: "x.vn!user.an".into(),
            id: name.into(),
            kind: "e".into(),
            uid_validity: 1,
            deleted: false,
        };
        let message = |uid, expunged| Message {
            uid,
            guid: Guid([u8::try_from(uid).unwrap(); 20]),
            date: 86_400 * uid,
            size: 1,
            flags: vec![],
            expunged,
        };
        let folders = vec![
            (folder("INBOX"), vec![message(1, false), message(2, true)]),
            (folder("Công văn/2026"), vec![message(3, false)]),
        ];
        Contents { mailbox: None, folders }
    }

    #[test]
    fn the_nearest_come_first() {
        let names = ["an@x.vn", "binh@x.vn", "anh@x.vn"];
        assert_eq!(nearest("am@x.vn", names.into_iter(), 2), ["an@x.vn", "anh@x.vn"]);
        assert_eq!((distance("abc", "ABC"), distance("abc", ""), distance("abc", "xbcd")), (0, 3, 2));
    }

    #[test]
    fn a_folder_a_time_and_what_was_deleted_are_named() {
        let filter = |folder: &str| Filter { folder: Some(folder.into()), ..Filter::default() };
        let lines = in_mailbox(&contents(), &filter("Công văn/2025"));
        assert_eq!(lines[0], "there is a folder Công văn/2026 with 1 messages");
        let time = |seconds| {
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                Timestamp::from_second(seconds).unwrap(),
            ))
        };
        let lines = in_mailbox(
            &contents(),
            &Filter { after: time(100_000), before: time(200_000), ..filter("INBOX") },
        );
        assert_eq!(
            lines,
            [
                "1 had been deleted before the backup; expunged: true brings them back",
                "1 were delivered at other times, from 1970-01-02T00:00:00Z to 1970-01-02T00:00:00Z",
            ]
        );
    }

    #[test]
    fn subjects_that_share_words_are_near() {
        let filter = Filter { subject: Some("công văn 9".into()), ..Filter::default() };
        let mut heads = Heads::default();
        for subject in ["Lịch họp", "Về công văn 8 của tỉnh", "Công văn 7"] {
            heads.see(&filter, &Head { subject: subject.into(), ..Head::default() }, || subject.into());
        }
        assert_eq!(heads.lines(), ["Công văn 7", "Về công văn 8 của tỉnh", "Lịch họp"]);
    }
}
