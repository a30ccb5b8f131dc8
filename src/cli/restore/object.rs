//! The MailRestore that the command line asks for. Pure; what makes no sense is refused by the API server, whose rules it is.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Arguments;
use crate::api::{
    MailRestore, MailRestoreSpec,
    backup::LocalSystemRef,
    restore::{AtTime, Filter, From, OfBackup, Target, What},
};

/// The object, with a name of its own or one that tells when it was made.
pub(super) fn of(arguments: &Arguments, system: LocalSystemRef, now: Timestamp) -> MailRestore {
    let name = arguments.name.clone().unwrap_or_else(|| now.strftime("restore-%Y%m%d-%H%M%S").to_string());
    let point = arguments.point_in_time.as_ref();
    let from = From {
        snapshot: arguments.from_snapshot.clone(),
        latest_verified: arguments.latest_verified.clone().map(|backup| OfBackup { backup }),
        point_in_time: point.map(|it| AtTime { backup: it.backup.clone(), time: Time(it.at.0) }),
    };
    let spec = MailRestoreSpec {
        system,
        from,
        mailboxes: What { addresses: arguments.mailbox.clone(), all: arguments.all.then_some(true) },
        messages: filter(arguments),
        target: target(arguments),
        allow_unverified: arguments.allow_unverified,
        objects: arguments.objects,
        dry_run: arguments.dry_run,
    };
    MailRestore::new(&name, spec)
}

/// None if all messages are meant.
fn filter(arguments: &Arguments) -> Option<Filter> {
    let filter = Filter {
        folder: arguments.folder.clone(),
        message_id: arguments.message_id.clone(),
        from: arguments.from.clone(),
        subject: arguments.subject.clone(),
        after: arguments.after.map(|it| Time(it.0)),
        before: arguments.before.map(|it| Time(it.0)),
        expunged: arguments.expunged,
    };
    Some(filter).filter(|it| *it != Filter::default())
}

fn target(arguments: &Arguments) -> Option<Target> {
    let target = Target { mailbox: arguments.to.clone(), folder: arguments.to_folder.clone() };
    Some(target).filter(|it| *it != Target::default())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn spec(words: &[&str]) -> Value {
        let line = Line::try_parse_from(["restore"].iter().chain(words)).unwrap();
        let system = LocalSystemRef { name: "mail".to_owned() };
        let object = of(&line.arguments, system, "2026-12-01T08:00:05Z".parse().unwrap());
        assert_eq!(object.metadata.name.as_deref(), Some("restore-20261201-080005"));
        serde_json::to_value(object.spec).unwrap()
    }

    #[test]
    fn a_mailbox_comes_back_whole_unless_something_is_said() {
        let expected = json!({"system": {"name": "mail"}, "from": {"latestVerified": {"backup": "nightly"}},
            "mailboxes": {"addresses": ["an@x.vn", "binh@x.vn"]}, "allowUnverified": false, "objects": false,
            "dryRun": false});
        assert_eq!(spec(&["--latest-verified", "nightly", "--mailbox", "an@x.vn,binh@x.vn"]), expected);
        assert_eq!(
            spec(&["--latest-verified=nightly", "--mailbox", "an@x.vn", "--mailbox", "binh@x.vn"]),
            expected
        );
        let all =
            spec(&["--from-snapshot", "nightly-1", "--all", "--objects", "--allow-unverified", "--dry-run"]);
        assert_eq!(all["mailboxes"], json!({"all": true}));
        assert_eq!(all["from"], json!({"snapshot": "nightly-1"}));
        assert_eq!(
            (&all["objects"], &all["allowUnverified"], &all["dryRun"]),
            (&true.into(), &true.into(), &true.into())
        );
    }

    #[test]
    fn every_flag_is_in_it() {
        let words = [
            "--point-in-time",
            "nightly@2026-12-01T08:00:00+07:00",
            "--mailbox",
            "an@x.vn",
            "--folder",
            "Cơ quan/2026",
            "--message-id",
            "<1@x>",
            "--from",
            "dan@",
            "--subject",
            "họp",
            "--after",
            "2026-11-01T00:00:00Z",
            "--before",
            "2026-12-01T00:00:00Z",
            "--expunged",
            "--to",
            "chi@x.vn",
            "--to-folder",
            "Khôi phục",
        ];
        let spec = spec(&words);
        assert_eq!(
            spec["from"],
            json!({"pointInTime": {"backup": "nightly", "time": "2026-12-01T01:00:00Z"}})
        );
        assert_eq!(
            spec["messages"],
            json!({"folder": "Cơ quan/2026", "messageId": "<1@x>", "from": "dan@", "subject": "họp", "expunged": true,
                "after": "2026-11-01T00:00:00Z", "before": "2026-12-01T00:00:00Z"})
        );
        assert_eq!(spec["target"], json!({"mailbox": "chi@x.vn", "folder": "Khôi phục"}));
    }

    #[test]
    fn whence_and_whose_are_said_once() {
        for bad in [
            "--mailbox an@x.vn",
            "--latest-verified nightly",
            "--latest-verified nightly --from-snapshot nightly-1 --mailbox an@x.vn",
            "--latest-verified nightly --mailbox an@x.vn --all",
            "--latest-verified nightly --all --timeout 3",
            "--point-in-time nightly --all",
        ] {
            assert!(Line::try_parse_from(["restore"].into_iter().chain(bad.split(' '))).is_err(), "{bad}");
        }
    }
}
