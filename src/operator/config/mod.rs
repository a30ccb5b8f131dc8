//! One renderer for each configuration file of the mail daemons. Pure: typed input goes in, the text of files comes out.
//!
//! `templates/` holds the files under the names that they have in the container, where each daemon's folder is mounted at
//! `/config`; whatever differs between systems stands there as `{{name}}`. A daemon's module gives all its files at once
//! ([`Files`]), ready to be the data of a ConfigMap. Where a setting has a reason, the module or the file gives it.

pub mod clamav;
pub mod cyrus;
pub mod nginx;
pub mod postfix;
pub mod rspamd;
pub mod valkey;

use std::collections::BTreeMap;

/// The files of one daemon: name to content.
pub type Files = BTreeMap<String, String>;

/// Puts values in the place of `{{name}}`. Templates and the names used here are both ours, so a name without a value or
/// a value without a place is a mistake that every test run shows, not one that a user's input could cause.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        let place = format!("{{{{{name}}}}}");
        debug_assert!(text.contains(&place), "the template has no {place}");
        text = text.replace(&place, value);
    }
    debug_assert!(!text.contains("{{"), "a place is left: {text}");
    text
}

/// Files out of pairs of name and content.
fn files<const N: usize>(pairs: [(&str, String); N]) -> Files {
    pairs.into_iter().map(|(name, content)| (name.to_owned(), content)).collect()
}

/// Files one after the other, for snapshots.
#[cfg(test)]
fn listing(files: &Files) -> String {
    files.iter().fold(String::new(), |text, (name, content)| text + &format!("==> {name} <==\n{content}\n"))
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn values_take_their_places() {
        assert_eq!(fill("a {{x}} {{y}} {{x}}", &[("x", "1"), ("y", "{")]), "a 1 { 1");
    }

    #[test]
    #[should_panic(expected = "a place is left")]
    fn a_place_without_a_value_is_a_mistake() {
        fill("{{x}}", &[]);
    }

    #[test]
    #[should_panic(expected = "the template has no {{x}}")]
    fn a_value_without_a_place_is_a_mistake() {
        fill("", &[("x", "1")]);
    }
}
