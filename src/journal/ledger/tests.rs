use proptest::prelude::*;

use super::*;

fn id(number: u8) -> JournalId {
    JournalId::new(u64::from(number), [number; 10])
}

/// The log of one Postfix.
#[derive(Default)]
struct Log {
    ledger: Ledger,
    records: Vec<Record>,
}

impl Log {
    fn line(&mut self, now: u64, program: &str, text: &str) {
        let line = format!("Dec 01 00:56:39 mail postfix/{program}[7]: {text}");
        let event = crate::wire::maillog::parse(line.as_bytes()).unwrap();
        self.ledger.see(&event, now, &mut self.records);
    }

    fn named(&mut self, now: u64, queue_id: &str, number: u8) {
        let text = format!("{queue_id}: milter-header-info: header Journal-Id:  {} from x: ", id(number));
        self.line(now, "cleanup", &text);
    }

    fn queued(&mut self, now: u64, queue_id: &str) {
        self.line(now, "qmgr", &format!("{queue_id}: from=<a@b>, size=1, nrcpt=1 (queue active)"));
    }

    fn answered(&mut self, now: u64, queue_id: &str, program: &str, to: &str, status: &str) {
        let text = format!(
            "{queue_id}: to=<{to}>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status={status}"
        );
        self.line(now, program, &text);
    }

    fn removed(&mut self, now: u64, queue_id: &str) {
        self.line(now, "qmgr", &format!("{queue_id}: removed"));
    }

    fn list(&mut self, asked: u64, listed: &[&str]) {
        let listed = listed.iter().map(|it| (*it).to_owned()).collect();
        self.ledger.compare(&listed, asked, &mut self.records);
    }

    fn said(&self) -> Vec<&'static str> {
        self.records.iter().map(|record| record.what.word()).collect()
    }

    fn unaccounted(&self) -> Vec<String> {
        self.ledger.unaccounted().into_iter().map(|one| one.queue_id).collect()
    }
}

#[test]
fn each_answer_is_recorded_with_its_receipt_and_the_end_with_the_last() {
    let mut log = Log::default();
    log.named(1, "AAAAAA", 1);
    log.queued(2, "AAAAAA");
    log.answered(3, "AAAAAA", "lmtp", "an@x.vn", "sent (250 2.1.5 Ok mail-store-0-0 7 91f3)");
    log.answered(3, "AAAAAA", "smtp", "d@example.net", "deferred (connect to mx: refused)");
    log.queued(4, "AAAAAA");
    log.answered(5, "AAAAAA", "smtp", "d@example.net", "sent (250 ok)");
    log.answered(5, "AAAAAA", "lmtp", "e@x.vn", "bounced (said: 550 no)");
    log.removed(6, "AAAAAA");
    assert_eq!(log.said(), ["accepted", "delivered", "relayed", "bounced", "closed"]);
    let What::Delivered { receipt: Some(receipt), .. } = &log.records[1].what else { panic!() };
    assert_eq!((receipt.pod.as_str(), receipt.epoch), ("mail-store-0-0", Some(7)));
    assert_eq!(log.ledger, Ledger::default(), "nothing is left of it");
}

#[test]
fn what_is_in_no_queue_and_was_not_closed_is_unaccounted_for_until_it_is_brought_back() {
    let mut log = Log::default();
    log.named(1, "AAAAAA", 1);
    log.queued(2, "AAAAAA");
    log.list(10, &["AAAAAA"]);
    log.list(20, &[]);
    assert!(log.unaccounted().is_empty(), "one list may have missed it");
    log.list(30, &[]);
    assert_eq!(log.unaccounted(), ["AAAAAA"]);
    let figures = log.ledger.figures();
    assert_eq!((figures.unaccounted, figures.oldest_unaccounted), (1, Some(1)));
    // Brought back under another queue id.
    log.named(40, "BBBBBB", 1);
    log.queued(41, "BBBBBB");
    assert!(log.unaccounted().is_empty(), "it is in the queue again");
    log.removed(42, "BBBBBB");
    assert!(log.ledger.is_empty() && log.ledger.figures() == Figures::default());
    assert_eq!(log.said().last(), Some(&"closed"));
}

#[test]
fn what_was_never_accepted_is_let_go_and_what_the_queue_holds_counts_as_accepted() {
    let mut log = Log::default();
    log.named(1, "AAAAAA", 1);
    log.named(1, "HHHHHH", 2);
    log.list(10, &["HHHHHH"]);
    log.list(20, &["HHHHHH"]);
    assert_eq!((log.said(), log.unaccounted()), (vec!["accepted"], vec![]));
    log.list(NOT_ACCEPTED + 2, &[]);
    log.list(NOT_ACCEPTED + 3, &[]);
    assert_eq!(
        log.unaccounted(),
        ["HHHHHH"],
        "the one was a client that went away, the other was in the queue"
    );
}

#[test]
fn what_an_administrator_deletes_is_said_so() {
    let mut log = Log::default();
    log.named(1, "AAAAAA", 1);
    log.queued(1, "AAAAAA");
    log.line(2, "postsuper", "AAAAAA: removed");
    assert_eq!(log.said(), ["accepted", "deleted"]);
    assert_eq!(log.ledger.figures().open, 0);
}

#[test]
fn what_an_administrator_queues_anew_is_the_same_message_under_another_name() {
    let mut log = Log::default();
    log.named(1, "AAAAAA", 1);
    log.queued(1, "AAAAAA");
    log.line(2, "pickup", "BBBBBB: uid=100 from=<a@b> orig_id=AAAAAA");
    log.list(10, &["BBBBBB"]);
    log.list(11, &["BBBBBB"]);
    assert_eq!((log.said(), log.unaccounted()), (vec!["accepted", "accepted"], vec![]));
    log.removed(12, "BBBBBB");
    assert!(log.ledger.is_empty());
}

#[test]
fn a_list_says_nothing_of_what_came_after_it_was_asked_for() {
    let mut log = Log::default();
    log.named(10, "AAAAAA", 1);
    log.queued(10, "AAAAAA");
    log.list(5, &[]);
    log.list(9, &[]);
    log.list(10, &[]);
    assert!(log.unaccounted().is_empty());
    assert!(!log.ledger.wants_list(10) && log.ledger.wants_list(11));
}

/// What happens to a message.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrives,
    Queues,
    Defers,
    Delivers,
    Removes,
    Vanishes,
    List,
}

fn step() -> impl Strategy<Value = (u8, Step)> {
    use Step::*;
    (
        0..4_u8,
        prop_oneof![
            Just(Arrives),
            Just(Queues),
            Just(Defers),
            Just(Delivers),
            Just(Removes),
            Just(Vanishes),
            Just(List)
        ],
    )
}

proptest! {
    /// Against a model of the queue that knows everything.
    #[test]
    fn the_ledger_misses_nothing_that_vanished_and_nothing_else(steps in proptest::collection::vec(step(), 0..60)) {
        let mut log = Log::default();
        let mut queue: HashMap<u8, bool> = HashMap::new(); // by message: whether it is still there
        let mut gone: HashSet<u8> = HashSet::new();
        let name = |message: u8| format!("AAAAA{message}");
        for (now, (message, step)) in (0_u64..).zip(steps) {
            let (queue_id, there) = (name(message), queue.get(&message).copied());
            match step {
                Step::Arrives if there.is_none() => {
                    log.named(now, &queue_id, message);
                    log.queued(now, &queue_id);
                    queue.insert(message, true);
                }
                Step::Queues if there == Some(true) => log.queued(now, &queue_id),
                Step::Defers if there == Some(true) => log.answered(now, &queue_id, "lmtp", "a@x", "deferred (later)"),
                Step::Delivers if there == Some(true) => log.answered(now, &queue_id, "lmtp", "a@x", "sent (250 2.1.5 Ok s)"),
                Step::Removes if there == Some(true) => {
                    log.removed(now, &queue_id);
                    queue.insert(message, false);
                }
                Step::Vanishes if there == Some(true) => {
                    gone.insert(message);
                    queue.insert(message, false);
                }
                Step::List => {
                    let listed: Vec<_> = queue.iter().filter(|(_, there)| **there).map(|(it, _)| name(*it)).collect();
                    log.list(now, &listed.iter().map(String::as_str).collect::<Vec<_>>());
                }
                _ => {}
            }
            let unaccounted: HashSet<_> = log.unaccounted().into_iter().collect();
            prop_assert!(unaccounted.iter().all(|it| gone.iter().any(|message| name(*message) == *it)));
        }
        let listed: Vec<_> = queue.iter().filter(|(_, there)| **there).map(|(it, _)| name(*it)).collect();
        for later in [100, 101] {
            log.list(later, &listed.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let mut expected: Vec<_> = gone.iter().map(|message| name(*message)).collect();
        expected.sort();
        prop_assert_eq!(log.unaccounted(), expected);
        let closed = log.said().iter().filter(|word| **word == "closed").count();
        prop_assert_eq!(closed + gone.len() + listed.len(), queue.len(), "each message ends once");
        prop_assert_eq!(log.ledger.len(), gone.len() + listed.len());
        let saved = serde_json::to_string(&log.ledger).unwrap();
        prop_assert_eq!(serde_json::from_str::<Ledger>(&saved).unwrap(), log.ledger);
    }
}
