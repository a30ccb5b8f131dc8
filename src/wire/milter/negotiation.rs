//! What filter and mail server agree on at the start of a session.
//!
//! The server's offer and our wish come in, the agreement goes out: a pure function. It must not
//! agree to what was not offered.

use super::{Command, Error};

/// What a filter may do (`SMFIF_*`).
pub mod action {
    /// Add and insert headers.
    pub const ADD_HEADERS: u32 = 0x01;
    /// Change and delete headers.
    pub const CHANGE_HEADERS: u32 = 0x10;
    /// Quarantine (Postfix: the hold queue).
    pub const QUARANTINE: u32 = 0x20;
    /// Name the macros wanted; asked for by itself whenever it is offered.
    pub const SET_MACRO_LIST: u32 = 0x100;
}

/// What is sent and what is answered (`SMFIP_*`).
pub mod protocol {
    /// Do not send the connection.
    pub const NO_CONNECT: u32 = 0x01;
    /// Do not send HELO.
    pub const NO_HELO: u32 = 0x02;
    /// Do not send unknown commands.
    pub const NO_UNKNOWN: u32 = 0x100;
    /// Do not send DATA.
    pub const NO_DATA: u32 = 0x200;
    /// No reply to headers.
    pub const NR_HEADER: u32 = 0x80;
    /// No reply to the connection.
    pub const NR_CONNECT: u32 = 0x1000;
    /// No reply to HELO.
    pub const NR_HELO: u32 = 0x2000;
    /// No reply to MAIL FROM.
    pub const NR_MAIL: u32 = 0x4000;
    /// No reply to RCPT TO.
    pub const NR_RCPT: u32 = 0x8000;
    /// No reply to DATA.
    pub const NR_DATA: u32 = 0x1_0000;
    /// No reply to unknown commands.
    pub const NR_UNKNOWN: u32 = 0x2_0000;
    /// No reply to the end of headers.
    pub const NR_END_OF_HEADERS: u32 = 0x4_0000;
    /// No reply to body chunks.
    pub const NR_BODY: u32 = 0x8_0000;
    /// Header values keep the space after the colon, in both directions.
    pub const HEADER_LEADING_SPACE: u32 = 0x10_0000;
    /// All `NR_*`: one reply per message, at its end.
    pub const NO_REPLIES: u32 = NR_HEADER
        | NR_CONNECT
        | NR_HELO
        | NR_MAIL
        | NR_RCPT
        | NR_DATA
        | NR_UNKNOWN
        | NR_END_OF_HEADERS
        | NR_BODY;
}

/// Before which command macros are sent (`SMFIM_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroStage {
    /// The connection.
    Connect = 0,
    /// HELO.
    Helo = 1,
    /// MAIL FROM.
    Mail = 2,
    /// RCPT TO.
    Rcpt = 3,
    /// DATA.
    Data = 4,
    /// End of message.
    EndOfMessage = 5,
    /// End of headers.
    EndOfHeaders = 6,
}

/// What the mail server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its protocol version.
    pub version: u32,
    /// Bits of [`action`].
    pub actions: u32,
    /// Bits of [`protocol`].
    pub protocol: u32,
}

/// What the filter wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Bits of [`action`], all needed.
    pub actions: u32,
    /// Bits of [`protocol`], each taken if offered.
    pub protocol: u32,
    /// Macros wanted at a stage, separated by spaces, as in `i {auth_authen}`.
    pub macros: &'static [(MacroStage, &'static str)],
}

/// What both hold to for the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Bits of [`action`].
    pub actions: u32,
    /// Bits of [`protocol`].
    pub protocol: u32,
    /// Macros asked for.
    pub macros: &'static [(MacroStage, &'static str)],
}

impl Wish {
    /// What becomes of the wish under this offer.
    ///
    /// # Errors
    /// [`Error::Version`] if the server is older than protocol 6, [`Error::Actions`] if an action that
    /// is needed is not offered.
    pub fn negotiate(&self, offer: Offer) -> Result<Agreement, Error> {
        if offer.version < 6 {
            return Err(Error::Version(offer.version));
        }
        let missing = self.actions & !offer.actions;
        if missing != 0 {
            return Err(Error::Actions(missing));
        }
        Ok(Agreement {
            actions: self.actions | (offer.actions & action::SET_MACRO_LIST),
            protocol: self.protocol & offer.protocol,
            macros: self.macros,
        })
    }
}

impl Agreement {
    /// Whether the mail server waits for a reply to this command. Replying to one for which it does
    /// not, or not replying to one for which it does, puts the session out of step.
    #[must_use]
    pub fn expects_reply(&self, command: &Command) -> bool {
        let unless = match command {
            Command::Macros(_) | Command::Abort | Command::Quit | Command::QuitNewConnection => return false,
            Command::Negotiate(_) | Command::EndOfMessage { .. } => return true,
            Command::Connect { .. } => protocol::NR_CONNECT,
            Command::Helo(_) => protocol::NR_HELO,
            Command::MailFrom { .. } => protocol::NR_MAIL,
            Command::RcptTo { .. } => protocol::NR_RCPT,
            Command::Data => protocol::NR_DATA,
            Command::Header { .. } => protocol::NR_HEADER,
            Command::EndOfHeaders => protocol::NR_END_OF_HEADERS,
            Command::Body(_) => protocol::NR_BODY,
            Command::Unknown(_) => protocol::NR_UNKNOWN,
        };
        self.protocol & unless == 0
    }
}
