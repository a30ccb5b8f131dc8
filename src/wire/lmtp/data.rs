//! The transparency of message data (RFC 5321 section 4.5.2), as state machines over pieces.
//!
//! Pieces of any length come in, pieces go out, with the dots taken off or put on. Only CRLF starts a
//! line, so only CRLF `.` CRLF ends a message; a bare LF or CR is a byte like any other (the gap
//! between those who think so and those who do not is how mail is smuggled).

use bytes::{BufMut, BytesMut};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    Middle,
    Cr,
    Dot,
    DotCr,
}

/// What a call of [`DotDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to the message; all, unless it ended.
    pub consumed: usize,
    /// Whether the message ended: what follows is the next command.
    pub ended: bool,
}

/// Takes the dots off and finds the end. One per message.
#[derive(Clone, Debug, Default)]
pub struct DotDecoder {
    state: State,
    bare_newline: bool,
}

impl DotDecoder {
    /// Whether the message so far has an LF without its CR. Cyrus ends lines there: after it, a dot
    /// would be taken off or would end the message. So ask before a piece is handed on, and refuse.
    /// (Postfix hands over none: it stores lines.)
    #[must_use]
    pub fn has_bare_newline(&self) -> bool {
        self.bare_newline
    }

    /// Appends the message's own bytes of this piece to `output`. At most three bytes stay behind in
    /// the state.
    pub fn decode(&mut self, input: &[u8], output: &mut BytesMut) -> Progress {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            at += 1;
            self.state = match (self.state, byte) {
                (State::LineStart, b'.') => State::Dot,
                (State::Dot, b'\r') => State::DotCr,
                (State::DotCr, b'\n') => {
                    self.state = State::LineStart;
                    return Progress { consumed: at, ended: true };
                }
                (state, _) => {
                    if state == State::DotCr {
                        output.put_u8(b'\r');
                    }
                    let run = self.run(state, &input[at - 1..]);
                    output.put_slice(&input[at - 1..at - 1 + run]);
                    at += run - 1;
                    after(state, &input[at - run..at])
                }
            };
        }
        Progress { consumed: at, ended: false }
    }

    /// How many bytes from here on are plain content: up to the next line end at least, one at least.
    fn run(&mut self, state: State, rest: &[u8]) -> usize {
        let newline = rest.iter().position(|byte| *byte == b'\n');
        if let Some(at) = newline {
            let after_cr =
                if at == 0 { matches!(state, State::Cr | State::DotCr) } else { rest[at - 1] == b'\r' };
            self.bare_newline |= !after_cr;
        }
        newline.map_or(rest.len(), |at| at + 1)
    }
}

/// The state after a run of content that has an LF at its end or nowhere.
fn after(before: State, run: &[u8]) -> State {
    match run {
        [b'\n'] if matches!(before, State::Cr | State::DotCr) => State::LineStart,
        [.., b'\r', b'\n'] => State::LineStart,
        [.., b'\r'] => State::Cr,
        [] => before,
        _ => State::Middle,
    }
}

/// Puts the dots on. One per message.
#[derive(Clone, Debug, Default)]
pub struct DotEncoder {
    state: State,
}

impl DotEncoder {
    /// Appends this piece to `output`, dots put on.
    pub fn encode(&mut self, input: &[u8], output: &mut BytesMut) {
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            if self.state == State::LineStart && line.first() == Some(&b'.') {
                output.put_u8(b'.');
            }
            output.put_slice(line);
            self.state = after(self.state, line);
        }
    }

    /// Appends the end of the message, and before it the CRLF that a last line may lack, and is ready
    /// for the next message.
    pub fn finish(&mut self, output: &mut BytesMut) {
        if self.state != State::LineStart {
            output.put_slice(b"\r\n");
        }
        output.put_slice(b".\r\n");
        self.state = State::LineStart;
    }
}
