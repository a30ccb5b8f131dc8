//! What a snapshot's tags say, so that a list of snapshots tells what each holds and none has to be restored for it.

/// What tags say. Snapshots that others made say nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The run that made it.
    pub run: Option<String>,
    /// Namespace and name of the system.
    pub system: Option<String>,
    /// The pod whose volume it was.
    pub pod: Option<String>,
    /// When it was frozen: Unix time in milliseconds.
    pub frozen: Option<i64>,
    /// Mailboxes in the manifest.
    pub mailboxes: Option<u64>,
    /// Messages in it that are not expunged.
    pub messages: Option<u64>,
    /// Files that were frozen.
    pub files: Option<u64>,
    /// Whether each message had its file, and each folder could be read.
    pub whole: Option<bool>,
    /// Whether it has only some of the mailboxes.
    pub selected: Option<bool>,
}

impl Tags {
    /// Reads them; others are passed over.
    #[must_use]
    pub fn of(tags: &[String]) -> Self {
        let mut said = Self::default();
        for (name, value) in tags.iter().filter_map(|tag| tag.split_once('=')) {
            match name {
                "run" => said.run = Some(value.to_owned()),
                "system" => said.system = Some(value.to_owned()),
                "pod" => said.pod = Some(value.to_owned()),
                "frozen" => said.frozen = value.parse().ok(),
                "mailboxes" => said.mailboxes = value.parse().ok(),
                "messages" => said.messages = value.parse().ok(),
                "files" => said.files = value.parse().ok(),
                "whole" => said.whole = value.parse().ok(),
                "selected" => said.selected = value.parse().ok(),
                _ => {}
            }
        }
        said
    }

    /// As restic takes them. No value has a comma, which would divide it.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let Self { run, system, pod, frozen, mailboxes, messages, files, whole, selected } = self;
        let tags = [
            ("run", run.clone()),
            ("system", system.clone()),
            ("pod", pod.clone()),
            ("frozen", frozen.map(|at| at.to_string())),
            ("mailboxes", mailboxes.map(|count| count.to_string())),
            ("messages", messages.map(|count| count.to_string())),
            ("files", files.map(|count| count.to_string())),
            ("whole", whole.map(|is| is.to_string())),
            ("selected", selected.map(|is| is.to_string())),
        ];
        tags.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect()
    }

    /// Whether a snapshot of so many files has all that was to be stored.
    #[must_use]
    pub fn complete(&self, has: u64) -> bool {
        self.whole == Some(true) && self.files.is_some_and(|files| has >= files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tags_say_is_read_again_and_others_are_passed_over() {
        let tags = Tags {
            run: Some("daily-20261201-020000".into()),
            system: Some("mail/province".into()),
            pod: Some("province-store-0-1".into()),
            frozen: Some(1_764_036_000_123),
            mailboxes: Some(2),
            messages: Some(5),
            files: Some(17),
            whole: Some(true),
            selected: Some(false),
        };
        let words = tags.words();
        assert_eq!((words.len(), words[3].as_str()), (9, "frozen=1764036000123"));
        assert_eq!(Tags::of(&[words, vec!["other".into(), "other=1".into()]].concat()), tags);
        assert_eq!(Tags::of(&["frozen=yesterday".into(), "whole=1".into()]), Tags::default());
        assert!(tags.complete(17) && !tags.complete(16));
        assert!(!Tags { whole: Some(false), ..tags.clone() }.complete(17));
        assert!(!Tags { files: None, ..tags }.complete(17), "what is not known counts against it");
    }
}
