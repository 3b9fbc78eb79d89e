//! The close handshake: codes, the Close frame's payload, and who has sent and received one.

use super::error::WsError;

/// Close codes this project sends or looks for; the list of RFC 6455 section 7.4.1 is longer.
pub mod code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server goes down, or the page is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The framing is broken.
    pub const PROTOCOL: u16 = 1002;
    /// Never on the wire: the Close frame had no code.
    pub const NONE: u16 = 1005;
    /// Never on the wire: the connection ended without a Close frame.
    pub const ABNORMAL: u16 = 1006;
    /// Text that is not UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// A rule of the application or a limit was broken.
    pub const POLICY: u16 = 1008;
    /// A message is too long.
    pub const TOO_BIG: u16 = 1009;
    /// The server met a fault of its own.
    pub const INTERNAL: u16 = 1011;
    /// The server is overloaded; come back later.
    pub const TRY_AGAIN_LATER: u16 = 1013;
}

/// Whether a code may stand in a Close frame: 1000-1003, 1007-1014, and 3000-4999 for libraries and applications.
#[must_use]
pub const fn is_sendable_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What a Close frame with a payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why; checked with [`is_sendable_code`].
    pub code: u16,
    /// The peer's words, at most 123 bytes and possibly none.
    pub reason: String,
}

impl CloseFrame {
    /// Reads the payload of a Close frame; an empty one has no code and gives `None`.
    pub(super) fn parse(payload: &[u8]) -> Result<Option<Self>, WsError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(None) } else { Err(WsError::CloseLengthOne) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_sendable_code(code) {
            return Err(WsError::CloseCodeInvalid { code });
        }
        let reason = std::str::from_utf8(reason).map_err(|_| WsError::CloseReasonNotUtf8)?;
        Ok(Some(Self { code, reason: reason.to_owned() }))
    }
}

/// How far the close handshake of one connection is.
///
/// Each side sends one Close frame and nothing after it. Whoever gets one without having sent one answers with the same code.
/// When both have gone, the server closes the TCP connection and the client waits for that, with a deadline.
///
/// ```
/// use dunlin_wire::ws::{CloseState, CloseStep, code};
///
/// let mut ours = CloseState::Open;
/// assert!(ours.send(), "the first Close is to be written");
/// assert!(!ours.send(), "and no second one");
/// assert_eq!(ours.receive(None), CloseStep::Finished);
///
/// let mut theirs = CloseState::Open;
/// assert_eq!(theirs.receive(None), CloseStep::Answer { code: code::NONE });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloseState {
    /// No Close has gone either way.
    #[default]
    Open,
    /// We sent one and wait for the answer; nothing more may be written, while data may still come.
    Sent,
    /// Both have gone.
    Finished,
}

/// What to do about a Close frame that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseStep {
    /// Write a Close with this code (as [`encode_close`](super::encode_close) takes it), flush, then close the connection.
    Answer {
        /// The peer's own code, or 1005 when it gave none.
        code: u16,
    },
    /// It was the answer to ours: close the connection.
    Finished,
}

impl CloseState {
    /// We want to close. True when a Close frame is to be written now, false when one went before.
    #[must_use = "says whether a Close frame is to be written"]
    pub const fn send(&mut self) -> bool {
        if matches!(self, Self::Open) {
            *self = Self::Sent;
            return true;
        }
        false
    }

    /// A Close frame came.
    #[must_use = "says whether a Close frame is to be written"]
    pub fn receive(&mut self, frame: Option<&CloseFrame>) -> CloseStep {
        let before = std::mem::replace(self, Self::Finished);
        match before {
            Self::Open => CloseStep::Answer { code: frame.map_or(code::NONE, |frame| frame.code) },
            Self::Sent | Self::Finished => CloseStep::Finished,
        }
    }

    /// Whether data, Pings and Pongs may still be written.
    #[must_use]
    pub const fn may_send(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether both Close frames have gone.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Finished)
    }
}
