//! The letter to the owner of a mailbox that is nearly full, or full: Vietnamese first, then English. Figures come in, a
//! message (RFC 5322, RFC 2045, RFC 2047) goes out, in ASCII. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use super::threshold::{Level, percent};
use crate::directory::domain_of;

/// Longest text of an encoded word, in bytes: in base64 its line has less than the 76 characters allowed, with a name.
const WORD: usize = 39;
/// Characters of a line of base64 (RFC 2045, 6.8).
const LINE: usize = 76;

/// What a letter tells.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    /// The mailbox's own address.
    pub address: &'a str,
    /// How full it is.
    pub level: Level,
    /// Bytes that it holds.
    pub used: u64,
    /// Bytes that it may hold.
    pub quota: u64,
}

/// Who writes to the owner of `address`.
#[must_use]
pub fn sender(address: &str) -> String {
    format!("postmaster@{}", domain_of(address))
}

/// The Message-ID of the letter `id` to the owner of `address`.
#[must_use]
pub fn message_id(id: &str, address: &str) -> String {
    format!("<{id}@{}>", domain_of(address))
}

/// The message, named `id`, at `now` in seconds of Unix time.
#[must_use]
pub fn write(warning: &Warning, id: &str, now: i64) -> String {
    let Warning { address, level, .. } = *warning;
    let subject = match level {
        Level::Nearly => "Hộp thư sắp đầy / Your mailbox is nearly full",
        Level::Full => "Hộp thư đã đầy / Your mailbox is full",
    };
    let date = Timestamp::from_second(now).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S +0000");
    let headers = [
        format!("Date: {date}"),
        format!("From: {}\r\n <{}>", encoded("Quản trị thư điện tử"), sender(address)),
        format!("To: <{address}>"),
        format!("Message-ID: {}", message_id(id, address)),
        format!("Subject: {}", encoded(subject)),
        // No program shall answer it (RFC 3834).
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=UTF-8".to_owned(),
        "Content-Transfer-Encoding: base64".to_owned(),
        "Content-Language: vi, en".to_owned(),
    ];
    format!("{}\r\n\r\n{}", headers.join("\r\n"), lines(&text(warning)))
}

fn text(warning: &Warning) -> String {
    let Warning { address, level, used, quota } = *warning;
    let percent = percent(used, quota);
    let (vi, en) = (|bytes| amount(bytes, ','), |bytes| amount(bytes, '.'));
    let (state_vi, state_en) = match level {
        Level::Nearly => (
            "Khi hộp thư đầy, thư mới sẽ không vào được.",
            "Once the mailbox is full, new mail cannot be delivered to it.",
        ),
        Level::Full => (
            "Thư mới hiện không vào được hộp thư này: thư chờ nhiều nhất năm ngày, sau đó được trả lại người gửi.",
            "New mail cannot be delivered to it now: it waits for at most five days and is then returned to its senders.",
        ),
    };
    let paragraphs = [
        "Kính gửi Quý vị,".to_owned(),
        format!("Hộp thư {address} đang dùng {} trên hạn mức {} ({percent} %).", vi(used), vi(quota)),
        state_vi.to_owned(),
        "Kính đề nghị Quý vị xóa những thư không còn cần đến, nhất là thư có tệp đính kèm lớn, và làm trống thùng rác; hoặc đề nghị người quản trị thư điện tử của cơ quan tăng hạn mức.".to_owned(),
        "Thư này được gửi tự động, xin không trả lời.".to_owned(),
        "----".to_owned(),
        "Dear colleague,".to_owned(),
        format!("The mailbox {address} uses {} of its {} ({percent} %).", en(used), en(quota)),
        state_en.to_owned(),
        "Please delete mail that is no longer needed, large attachments first, and empty the trash; or ask your mail administrator for a larger quota.".to_owned(),
        "This message was sent automatically; please do not reply to it.".to_owned(),
    ];
    paragraphs.join("\r\n\r\n") + "\r\n"
}

/// In GiB or MiB, with one decimal.
fn amount(bytes: u64, point: char) -> String {
    let (unit, name) = if bytes >> 30 > 0 { (1 << 30, "GiB") } else { (1 << 20, "MiB") };
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    format!("{}{point}{} {name}", tenths / 10, tenths % 10)
}

/// As encoded words, a line each.
fn encoded(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // A character is not divided (RFC 2047, 5).
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(word);
        rest = after;
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

fn lines(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let pieces = encoded.as_bytes().chunks(LINE);
    pieces.fold(String::new(), |all, line| all + &String::from_utf8_lossy(line) + "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from;

    const WARNING: Warning = Warning {
        address: "an.nguyen@angiang.gov.vn",
        level: Level::Nearly,
        used: 1_932_735_284,
        quota: 2 << 30,
    };

    /// A field with its folds undone, and its encoded words decoded.
    fn field(message: &str, name: &str) -> String {
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("?=\r\n =?", "?==?").replace("\r\n ", " ");
        let line = unfolded.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
        let mut words = line.split("=?UTF-8?B?");
        let mut text = words.next().unwrap().to_owned();
        for word in words {
            let (word, after) = word.split_once("?=").unwrap();
            text += &String::from_utf8(STANDARD.decode(word).unwrap()).unwrap();
            text += after;
        }
        text
    }

    fn body(message: &str) -> String {
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
    }

    #[test]
    fn the_letter_reads_back_in_both_languages_with_its_figures() {
        let message = write(&WARNING, "quota-1", 1_700_000_000);
        assert!(message.is_ascii());
        assert!(message.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
        assert_eq!(field(&message, "Subject"), "Hộp thư sắp đầy / Your mailbox is nearly full");
        assert_eq!(field(&message, "From"), "Quản trị thư điện tử <postmaster@angiang.gov.vn>");
        assert_eq!(field(&message, "To"), "<an.nguyen@angiang.gov.vn>");
        assert_eq!(field(&message, "Message-ID"), "<quota-1@angiang.gov.vn>");
        assert_eq!(field(&message, "Date"), "Tue, 14 Nov 2023 22:13:20 +0000");
        assert_eq!(field(&message, "Auto-Submitted"), "auto-generated");
        let text = body(&message);
        assert!(
            text.contains("an.nguyen@angiang.gov.vn đang dùng 1,8 GiB trên hạn mức 2,0 GiB (90 %)."),
            "{text}"
        );
        assert!(text.contains("an.nguyen@angiang.gov.vn uses 1.8 GiB of its 2.0 GiB (90 %)."), "{text}");
        let full = Warning { level: Level::Full, used: 1_300_000, quota: 1 << 20, ..WARNING };
        let full = write(&full, "quota-2", 1_700_000_000);
        assert_eq!(field(&full, "Subject"), "Hộp thư đã đầy / Your mailbox is full");
        let text = body(&full);
        assert!(text.contains("1,2 MiB trên hạn mức 1,0 MiB (123 %)"), "{text}");
        assert!(text.contains("năm ngày") && text.contains("five days"), "{text}");
    }

    #[test]
    fn the_gate_reads_who_it_is_from() {
        let message = write(&WARNING, "x", 0);
        let (_, rest) = message.split_once("From: ").unwrap();
        let value = rest.split_once("\r\nTo:").unwrap().0.replace("\r\n", "\n");
        assert_eq!(from::addresses(value.as_bytes()).unwrap(), [sender(WARNING.address)]);
    }

    #[test]
    fn encoded_words_are_short_and_divide_no_character() {
        let text = "ễ".repeat(40);
        let message = encoded(&text);
        assert!(message.split("\r\n ").all(|word| word.len() <= 75), "{message}");
        assert_eq!(field(&format!("Subject: {message}\r\n\r\n"), "Subject"), text);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(amount(0, '.'), "0.0 MiB");
        assert_eq!(amount(1 << 20, ','), "1,0 MiB");
        assert_eq!(amount(u64::MAX, '.'), "17179869184.0 GiB");
    }
}
