//! Why a peer's bytes are not WebSocket frames we take, and the close code that says so.

use super::close::code;

/// The peer broke the framing or went over a limit. Its connection is closed with [`WsError::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WsError {
    /// A reserved bit is set, though no extension was agreed on.
    #[error("reserved bits {bits:#05b} are set in a frame")]
    ReservedBits {
        /// RSV1 to RSV3 as a number.
        bits: u8,
    },
    /// RFC 6455 gives this opcode no meaning.
    #[error("frame opcode {opcode:#x} is unknown")]
    UnknownOpcode {
        /// The four bits.
        opcode: u8,
    },
    /// A client must mask every frame, and this one is not.
    #[error("frame from a client is not masked")]
    Unmasked,
    /// A server must not mask, and this frame is.
    #[error("frame from a server is masked")]
    Masked,
    /// A Ping, Pong or Close that is not the last fragment of itself.
    #[error("control frame is fragmented")]
    ControlFragmented,
    /// A Ping, Pong or Close of more than 125 bytes.
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A continuation, but no message was begun.
    #[error("continuation frame outside a message")]
    ContinuationOutsideMessage,
    /// A new message was begun before the last one ended.
    #[error("data frame begins a message inside another")]
    StartInsideMessage,
    /// The length is written in more bytes than it needs.
    #[error("frame length {payload_len} is not written in its shortest form")]
    LengthNotShortest {
        /// The length.
        payload_len: u64,
    },
    /// The highest bit of a 64-bit length is set.
    #[error("frame length {payload_len} is over 63 bits")]
    LengthOverflow {
        /// The length.
        payload_len: u64,
    },
    /// A data message went over [`WsLimits::message_len_max`](super::WsLimits::message_len_max).
    #[error("message of {message_len} bytes or more is over the limit of {message_len_max}")]
    MessageTooLong {
        /// The length so far, with the frame just announced.
        message_len: u64,
        /// The limit in force.
        message_len_max: u64,
    },
    /// A data message went over [`WsLimits::fragments_max`](super::WsLimits::fragments_max).
    #[error("message has more than {fragments_max} fragments")]
    TooManyFragments {
        /// The limit in force.
        fragments_max: u32,
    },
    /// The peer went over [`WsLimits::control_frames_max`](super::WsLimits::control_frames_max).
    #[error("more than {control_frames_max} control frames without a whole data message")]
    TooManyControlFrames {
        /// The limit in force.
        control_frames_max: u32,
    },
    /// A text message is not UTF-8.
    #[error("text message is not UTF-8")]
    TextNotUtf8,
    /// A Close payload of one byte, where a code takes two.
    #[error("close payload of one byte holds no code")]
    CloseLengthOne,
    /// A Close code that must not travel.
    #[error("close code {code} is not allowed in a frame")]
    CloseCodeInvalid {
        /// The code.
        code: u16,
    },
    /// A Close reason is not UTF-8.
    #[error("close reason is not UTF-8")]
    CloseReasonNotUtf8,
}

impl WsError {
    /// The code to close the connection with: 1002 for broken framing, 1007 for text that is none, 1008 and 1009 for the limits.
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 => code::INVALID_PAYLOAD,
            Self::TooManyFragments { .. } | Self::TooManyControlFrames { .. } => code::POLICY,
            Self::MessageTooLong { .. } => code::TOO_BIG,
            _ => code::PROTOCOL,
        }
    }
}
