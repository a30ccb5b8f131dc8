//! The cases of the protocol by name, and arbitrary histories of two stores that had the same and then went apart.

use proptest::prelude::*;

use super::*;

/// Of the present primary's changes: later than all of the former's.
const LATER: u32 = 1_000_000;
const NOW: u32 = 2_000_000;

fn folder(id: &str, path: &str) -> Folder {
    Folder {
        id: id.into(),
        path: path.into(),
        deleted: false,
        mail: true,
        validity: 1,
        last_uid: 0,
        modseq: 1,
        messages: Vec::new(),
    }
}

/// A store in which everything happens at a time that can be set.
#[derive(Clone, Debug)]
struct Store {
    mailbox: Mailbox,
    time: u32,
}

impl Store {
    fn new() -> Self {
        let folders = vec![folder("i", "INBOX"), folder("w", "Work"), folder("t", "Trash")];
        Self { mailbox: Mailbox { address: "an@x.vn".into(), folders }, time: 900_000 }
    }

    fn folder(&mut self, id: &str) -> &mut Folder {
        self.mailbox.folders.iter_mut().find(|it| it.id == id).unwrap()
    }

    fn put(&mut self, id: &str, message: &Message) -> u32 {
        self.time += 1;
        let time = self.time;
        let folder = self.folder(id);
        (folder.last_uid, folder.modseq) = (folder.last_uid + 1, folder.modseq + 1);
        let (uid, modseq) = (folder.last_uid, folder.modseq);
        let message = Message { uid, modseq, saved: time, updated: time, expunged: false, ..message.clone() };
        folder.messages.push(message);
        uid
    }

    fn change(&mut self, id: &str, uid: u32, change: impl FnOnce(&mut Message)) {
        self.time += 1;
        let time = self.time;
        let folder = self.folder(id);
        folder.modseq += 1;
        let modseq = folder.modseq;
        let message = folder.messages.iter_mut().find(|it| it.uid == uid).unwrap();
        change(message);
        (message.modseq, message.updated) = (modseq, time);
    }

    fn expunge(&mut self, id: &str, uid: u32) {
        self.change(id, uid, |it| it.expunged = true);
    }

    fn message(&self, id: &str, uid: u32) -> Message {
        let folder = self.mailbox.folders.iter().find(|it| it.id == id).unwrap();
        folder.messages.iter().find(|it| it.uid == uid).unwrap().clone()
    }

    fn move_to(&mut self, id: &str, uid: u32, to: &str) -> u32 {
        let message = self.message(id, uid);
        let uid_there = self.put(to, &message);
        self.expunge(id, uid);
        uid_there
    }

    fn flag(&mut self, id: &str, uid: u32, flag: &str) {
        self.change(id, uid, |it| {
            it.flags.0.insert(flag.into());
        });
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.mailbox.folders.iter().flat_map(|folder| folder.messages.iter().map(move |it| (folder, it)))
    }

    /// Folder and content of what lives, sorted.
    fn living(&self) -> Vec<(String, String)> {
        let living = self.entries().filter(is_live);
        let mut living: Vec<_> = living.map(|(folder, it)| (folder.path.clone(), it.guid.clone())).collect();
        living.sort();
        living
    }

    fn flags(&self, id: &str, uid: u32) -> Vec<String> {
        self.message(id, uid).flags.0.into_iter().collect()
    }

    /// Does what was settled, as the present primary would.
    fn apply(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Create { path } => self.mailbox.folders.push(folder(&format!("new {path}"), path)),
                Action::Append { path, message, besides, .. } => {
                    let live = |it: &&Folder| !it.deleted && it.path == *path;
                    let folder = self.mailbox.folders.iter().find(live).unwrap().clone();
                    // One that came since the list was made is it.
                    let is_it = |it: &Message| it.guid == message.guid && !besides.contains(&it.uid);
                    if !folder.messages.iter().any(is_it) {
                        self.put(&folder.id, message);
                    }
                }
                Action::Flag { folder, message: (uid, guid), add, remove } => {
                    assert_eq!(self.message(folder, *uid).guid, *guid);
                    self.change(folder, *uid, |it| {
                        it.flags.0.extend(add.0.iter().cloned());
                        it.flags.0.retain(|flag| !remove.0.contains(flag));
                    });
                }
                Action::Expunge { folder, message: (uid, guid) } => {
                    assert_eq!(self.message(folder, *uid).guid, *guid);
                    assert!(!self.message(folder, *uid).expunged);
                    self.expunge(folder, *uid);
                }
            }
        }
    }
}

fn message(guid: &str, id: Option<&str>) -> Message {
    Message {
        uid: 0,
        guid: guid.into(),
        id: id.map(str::to_owned),
        date: 5,
        saved: 0,
        updated: 0,
        modseq: 0,
        size: 1,
        expunged: false,
        flags: Flags::default(),
    }
}

/// Both had message `g1` of the id `j1` in the inbox, and then went apart.
struct Case {
    former: Store,
    present: Store,
}

impl Case {
    fn new() -> Self {
        let mut former = Store::new();
        former.put("i", &message("g1", Some("j1")));
        let present = Store { time: LATER, ..former.clone() };
        Self { former, present }
    }

    fn settled(&mut self) -> Vec<(String, String)> {
        let Settlement { actions, contained } = settle(&self.former.mailbox, &self.present.mailbox, NOW);
        assert!(!contained || actions.is_empty());
        self.present.apply(&actions);
        let again = settle(&self.former.mailbox, &self.present.mailbox, NOW);
        assert_eq!(again.actions, [], "after {actions:?}");
        self.present.living()
    }

    fn check(mut self, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(path, guid)| ((*path).into(), (*guid).into())).collect();
        assert_eq!(self.settled(), expected);
    }
}

#[test]
fn stores_that_are_the_same_need_nothing_and_the_former_may_follow_as_it_is() {
    let case = Case::new();
    let settled = settle(&case.former.mailbox, &case.present.mailbox, NOW);
    assert_eq!(settled, Settlement { actions: Vec::new(), contained: true });
    let mut case = Case::new();
    case.present.flag("i", 1, "\\Seen");
    case.present.put("w", &message("g2", None));
    assert!(settle(&case.former.mailbox, &case.present.mailbox, NOW).contained);
    case.former.flag("i", 1, "\\Seen");
    assert!(!settle(&case.former.mailbox, &case.present.mailbox, NOW).contained);
}

#[test]
fn what_only_the_former_has_is_appended_although_its_uid_is_taken() {
    let mut case = Case::new();
    case.former.put("i", &message("g2", Some("j2")));
    case.former.put("w", &message("g3", None));
    case.present.put("i", &message("g4", Some("j4")));
    case.check(&[("INBOX", "g1"), ("INBOX", "g2"), ("INBOX", "g4"), ("Work", "g3")]);
}

#[test]
fn what_was_delivered_again_is_not_doubled() {
    let mut case = Case::new();
    case.former.put("i", &message("g2", Some("j2")));
    case.present.put("i", &message("g2 again", Some("j2")));
    case.check(&[("INBOX", "g1"), ("INBOX", "g2 again")]);
    // Nor if it was put away since.
    let mut case = Case::new();
    case.former.put("i", &message("g2", Some("j2")));
    let uid = case.present.put("i", &message("g2 again", Some("j2")));
    case.present.move_to("i", uid, "w");
    case.check(&[("INBOX", "g1"), ("Work", "g2 again")]);
}

#[test]
fn deleted_on_either_side_wins() {
    let mut case = Case::new();
    case.former.expunge("i", 1);
    case.present.flag("i", 1, "\\Seen");
    case.check(&[]);
    let mut case = Case::new();
    case.former.flag("i", 1, "\\Seen");
    case.present.expunge("i", 1);
    case.check(&[]);
    // Delivered and deleted there, and delivered again here.
    let mut case = Case::new();
    let uid = case.former.put("i", &message("g2", Some("j2")));
    case.former.expunge("i", uid);
    case.present.put("i", &message("g2 again", Some("j2")));
    case.check(&[("INBOX", "g1")]);
    // Delivered again here and deleted.
    let mut case = Case::new();
    case.former.put("i", &message("g2", Some("j2")));
    let uid = case.present.put("i", &message("g2 again", Some("j2")));
    case.present.expunge("i", uid);
    case.check(&[("INBOX", "g1")]);
    // Moved on one side, deleted on the other.
    let mut case = Case::new();
    case.former.move_to("i", 1, "w");
    case.present.expunge("i", 1);
    case.check(&[]);
    let mut case = Case::new();
    case.former.expunge("i", 1);
    case.present.move_to("i", 1, "w");
    case.check(&[]);
}

#[test]
fn moves_and_copies_are_done_again_and_of_two_moves_the_present_one_stands() {
    let mut case = Case::new();
    case.former.move_to("i", 1, "t");
    case.check(&[("Trash", "g1")]);
    let mut case = Case::new();
    let first = case.former.message("i", 1);
    case.former.put("w", &first);
    case.check(&[("INBOX", "g1"), ("Work", "g1")]);
    let mut case = Case::new();
    case.former.move_to("i", 1, "w");
    case.present.move_to("i", 1, "t");
    case.check(&[("Trash", "g1")]);
    // The present one made a copy: it stays, and the move is done.
    let mut case = Case::new();
    case.former.move_to("i", 1, "w");
    case.present.put("t", &first);
    case.check(&[("Trash", "g1"), ("Work", "g1")]);
}

#[test]
fn a_move_within_a_folder_takes_nothing_away() {
    let mut case = Case::new();
    case.former.move_to("i", 1, "i");
    case.check(&[("INBOX", "g1")]);
    // What is appended gets the UID that the first copy had on the former.
    let mut case = Case::new();
    let uid = case.former.put("w", &message("g2", Some("j2")));
    case.former.move_to("w", uid, "w");
    case.check(&[("INBOX", "g1"), ("Work", "g2")]);
}

#[test]
fn half_of_a_move_that_was_replicated_loses_no_message() {
    let mut case = Case::new();
    case.former.move_to("i", 1, "w");
    // The present primary got the expunge and not the copy.
    let expunged = case.former.message("i", 1);
    *case.present.folder("i") = case.former.folder("i").clone();
    assert!(expunged.expunged && case.present.living().is_empty());
    case.check(&[("Work", "g1")]);
}

#[test]
fn a_deletion_that_both_know_is_no_news() {
    let mut case = Case::new();
    case.former.expunge("i", 1);
    *case.present.folder("i") = case.former.folder("i").clone();
    // Its owner put it back.
    case.present.put("i", &message("g1", Some("j1")));
    case.check(&[("INBOX", "g1")]);
}

#[test]
fn an_old_deletion_of_which_the_other_has_no_record_any_more_is_no_news() {
    let mut case = Case::new();
    case.former.expunge("i", 1);
    case.present.folder("i").messages.clear();
    case.present.put("w", &message("g1", Some("j1")));
    let after = case.former.time + FORGOTTEN;
    let actions = |now| settle(&case.former.mailbox, &case.present.mailbox, now).actions.len();
    assert_eq!((actions(after - 1), actions(after)), (1, 0));
}

#[test]
fn a_copy_that_somebody_changed_is_kept_on_either_side() {
    // An attachment was taken off: the same headers, another content.
    let mut case = Case::new();
    case.former.put("i", &message("g1 lean", Some("j1")));
    case.former.expunge("i", 1);
    case.check(&[("INBOX", "g1 lean")]);
    let mut case = Case::new();
    case.former.expunge("i", 1);
    case.present.put("i", &message("g1 lean", Some("j1")));
    case.present.expunge("i", 1);
    case.check(&[("INBOX", "g1 lean")]);
}

#[test]
fn folders_are_made_and_those_that_were_renamed_are_found() {
    let mut case = Case::new();
    case.former.mailbox.folders.push(folder("e", "Empty"));
    case.former.mailbox.folders.push(folder("p", "Projects"));
    let first = case.former.message("i", 1);
    case.former.put("p", &first);
    case.former.put("w", &message("g2", None));
    case.present.folder("w").path = "Office".into();
    case.settled();
    let paths: Vec<_> = case.present.mailbox.folders.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["INBOX", "Office", "Trash", "Empty", "Projects"]);
    assert!(case.present.living().contains(&("Office".into(), "g2".into())));
}

#[test]
fn a_deleted_folder_takes_its_messages_along_and_comes_back_only_for_new_ones() {
    let mut case = Case::new();
    case.former.put("w", &message("g2", None));
    case.present = Store { time: LATER, ..case.former.clone() };
    case.present.folder("w").deleted = true;
    case.former.flag("w", 1, "\\Seen");
    assert_eq!(case.settled(), [("INBOX".to_owned(), "g1".to_owned())]);
    case.former.put("w", &message("g3", None));
    case.check(&[("INBOX", "g1"), ("Work", "g3")]);
    // Deleted on the former: what was in it is deleted.
    let mut case = Case::new();
    case.former.put("w", &message("g2", None));
    case.present = Store { time: LATER, ..case.former.clone() };
    case.former.folder("w").deleted = true;
    case.check(&[("INBOX", "g1")]);
}

#[test]
fn of_programs_folders_nothing_is_carried_but_they_are_not_left_different() {
    let mut case = Case::new();
    for store in [&mut case.former, &mut case.present] {
        store.mailbox.folders.push(Folder { mail: false, ..folder("s", "#sieve") });
    }
    case.former.put("s", &message("script", None));
    let settled = settle(&case.former.mailbox, &case.present.mailbox, NOW);
    assert_eq!(settled, Settlement { actions: Vec::new(), contained: false });
}

#[test]
fn flags_are_those_of_whoever_changed_the_message_last() {
    let flags = |former: &[&str], present: &[&str]| {
        let mut case = Case::new();
        for flag in former {
            case.former.flag("i", 1, flag);
        }
        for flag in present {
            case.present.flag("i", 1, flag);
        }
        case.settled();
        case.present.flags("i", 1)
    };
    assert_eq!(flags(&["\\Flagged", "$Forwarded"], &[]), ["$Forwarded", "\\Flagged"]);
    assert_eq!(flags(&["\\Flagged"], &["\\Answered"]), ["\\Answered"]);
    assert_eq!(flags(&[], &["\\Answered"]), ["\\Answered"]);
    let mut case = Case::new();
    case.former.flag("i", 1, "\\Seen");
    case.present = Store { time: LATER, ..case.former.clone() };
    case.former.change("i", 1, |it| it.flags.0.clear());
    case.settled();
    assert_eq!(case.present.flags("i", 1), Vec::<String>::new(), "marked as unread again");
}

#[test]
fn an_id_that_one_side_cannot_read_is_known_from_the_other() {
    let mut case = Case::new();
    case.former.folder("i").messages[0].id = None;
    case.former.expunge("i", 1);
    case.check(&[]);
}

/// What happens to a store.
#[derive(Clone, Copy, Debug)]
enum Event {
    Deliver(u8, u8),
    Draft(u8),
    Expunge(u8),
    Move(u8, u8),
    Copy(u8, u8),
    Flag(u8),
}

const FOLDERS: [&str; 3] = ["i", "w", "t"];

/// One store's part of a history: which messages were deleted in it.
fn run(store: &mut Store, events: &[Event], who: &str) -> HashSet<String> {
    let mut touched = HashSet::new();
    for (number, event) in events.iter().enumerate() {
        let living: Vec<(String, Message)> =
            store.entries().filter(is_live).map(|(folder, it)| (folder.id.clone(), it.clone())).collect();
        let pick = |at: u8| living.get(usize::from(at) % living.len().max(1)).cloned();
        let folder = |at: u8| FOLDERS[usize::from(at) % FOLDERS.len()];
        match *event {
            Event::Deliver(journal, to) => {
                let id = format!("j{}", journal % 6);
                // The door lets nothing in that is held, live or expunged.
                if !store.entries().any(|(_, it)| it.id.as_deref() == Some(&id)) {
                    store.put(folder(to), &message(&format!("{who}{number}{id}"), Some(&id)));
                }
            }
            Event::Draft(to) => drop(store.put(folder(to), &message(&format!("{who}{number}"), None))),
            Event::Expunge(at) => {
                if let Some((id, it)) = pick(at) {
                    store.expunge(&id, it.uid);
                    touched.insert(it.id.unwrap_or(it.guid));
                }
            }
            Event::Move(at, to) => {
                if let Some((id, it)) = pick(at) {
                    store.move_to(&id, it.uid, folder(to));
                }
            }
            Event::Copy(at, to) => {
                if let Some((_, it)) = pick(at) {
                    store.put(folder(to), &it);
                }
            }
            Event::Flag(at) => {
                if let Some((id, it)) = pick(at) {
                    store.flag(&id, it.uid, &format!("{who}{number}"));
                }
            }
        }
    }
    let living = keys(store);
    touched.retain(|key| !living.contains(key));
    touched
}

fn keys(store: &Store) -> HashSet<String> {
    let key = |it: &Message| it.id.clone().unwrap_or(it.guid.clone());
    store.entries().filter(is_live).map(|(_, it)| key(it)).collect()
}

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (any::<u8>(), any::<u8>()).prop_map(|(id, to)| Event::Deliver(id, to)),
        any::<u8>().prop_map(Event::Draft),
        any::<u8>().prop_map(Event::Expunge),
        (any::<u8>(), any::<u8>()).prop_map(|(at, to)| Event::Move(at, to)),
        (any::<u8>(), any::<u8>()).prop_map(|(at, to)| Event::Copy(at, to)),
        any::<u8>().prop_map(Event::Flag),
    ];
    prop::collection::vec(event, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Both had the same; then the former went on alone, then the present one.
    #[test]
    fn nothing_is_lost_nothing_deleted_returns_and_settling_again_does_nothing(
        before in events(12), alone in events(8), since in events(8),
    ) {
        let mut former = Store::new();
        run(&mut former, &before, "c");
        let mut present = Store { time: LATER, ..former.clone() };
        let mut deleted = run(&mut former, &alone, "a");
        deleted.extend(run(&mut present, &since, "b"));
        let all: HashSet<_> = keys(&former).union(&keys(&present)).cloned().collect();

        let settled = settle(&former.mailbox, &present.mailbox, NOW);
        prop_assert!(!settled.contained || settled.actions.is_empty());
        prop_assert!(!alone.is_empty() || settled.contained);
        present.apply(&settled.actions);

        let after = keys(&present);
        for key in &all {
            prop_assert_eq!(after.contains(key), !deleted.contains(key), "{} {:?}", key, settled.actions);
        }
        let contents: HashSet<_> =
            present.entries().filter(is_live).map(|(_, it)| (it.id.clone(), it.guid.clone())).collect();
        let mut ids: Vec<_> = contents.iter().filter_map(|(id, _)| id.as_ref()).collect();
        ids.sort();
        prop_assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "delivered twice: {:?}", ids);
        prop_assert_eq!(settle(&former.mailbox, &present.mailbox, NOW).actions, Vec::new());
    }

    /// The connection broke somewhere: the rest is done at the next try.
    #[test]
    fn wherever_it_is_interrupted_the_next_try_ends_with_the_same(
        before in events(8), alone in events(8), since in events(8), at in any::<prop::sample::Index>(),
    ) {
        let mut former = Store::new();
        run(&mut former, &before, "c");
        let mut present = Store { time: LATER, ..former.clone() };
        run(&mut former, &alone, "a");
        run(&mut present, &since, "b");
        let mut whole = present.clone();
        let actions = settle(&former.mailbox, &present.mailbox, NOW).actions;
        whole.apply(&actions);
        present.apply(&actions[..at.index(actions.len() + 1)]);
        let rest = settle(&former.mailbox, &present.mailbox, NOW).actions;
        present.apply(&rest);
        prop_assert_eq!(present.living(), whole.living());
    }
}
