//! Mailboxes with messages of some five kilobytes, no two of them alike.

use crate::volume::Volume;

/// How many.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) mailboxes: u32,
    pub(crate) messages: u32,
}

/// Fills a volume; the first `more` mailboxes get a message more than the others.
pub(crate) fn fill(volume: &Volume, load: Load, more: u32) {
    let wanted = if more == 0 { load.mailboxes } else { more };
    for mailbox in 0..wanted {
        let count = load.messages + u32::from(more > 0);
        let messages: Vec<_> = (0..count).map(|message| text(mailbox, message)).collect();
        let messages: Vec<_> = messages.iter().map(String::as_str).collect();
        volume.put(&format!("{mailbox:08x}"), &format!("x.vn!user.m{mailbox}"), &messages);
    }
}

/// Headers, and a body that compresses as an encoded attachment does.
fn text(mailbox: u32, message: u32) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = (u64::from(mailbox) << 32 | u64::from(message)) ^ 0x9e37_79b9_7f4a_7c15;
    let mut text = format!("From: dan@example.com\r\nTo: m{mailbox}@x.vn\r\nSubject: {message}\r\n\r\n");
    for _ in 0..62 {
        for _ in 0..76 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(LETTERS[(state >> 58) as usize]));
        }
        text.push_str("\r\n");
    }
    text
}
