//! Every bound of the WebSocket codec, each with its reason.

use crate::limits::{PACKET_BODY_LEN_MAX, PACKET_HEADER_LEN};

/// The longest payload of a Ping, Pong or Close frame, fixed by RFC 6455.
pub const CONTROL_LEN_MAX: usize = 125;

/// The longest reason in a Close frame: its payload begins with a code of two bytes.
pub const CLOSE_REASON_LEN_MAX: usize = CONTROL_LEN_MAX - 2;

/// The longest frame header: two bytes, a length of eight, a masking key of four.
pub const FRAME_HEADER_LEN_MAX: usize = 14;

/// The longest HTTP head taken: browsers send about one KiB, and cookies for the same host may add a few.
pub const HEAD_LEN_MAX: usize = 8 * 1024;

/// The most header lines in an HTTP head: browsers send about fifteen, proxies add a few. They are parsed into an array on the stack.
pub const HEADER_COUNT_MAX: usize = 64;

/// What a [`WsDecoder`](super::WsDecoder) takes from its peer before it gives up on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WsLimits {
    /// Payload bytes of one data message, all fragments together. By default the longest packet, since one message carries one
    /// packet. It bounds no memory here, because payloads are streamed; it ends a message that never ends.
    pub message_len_max: u64,
    /// Frames of one data message. By default 4,096: the longest message in pieces of 4 KiB. It ends a message made of empty fragments.
    pub fragments_max: u32,
    /// Pings and Pongs between the ends of two data messages. By default 256: a ping a second for over four minutes, while the
    /// protocol above sends a heartbeat every minute at most. It ends a flood of pings, each of which must be answered.
    pub control_frames_max: u32,
}

impl WsLimits {
    /// The defaults, for a constant.
    pub const DEFAULT: Self = Self {
        message_len_max: (PACKET_HEADER_LEN + PACKET_BODY_LEN_MAX) as u64,
        fragments_max: 4096,
        control_frames_max: 256,
    };
}

impl Default for WsLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
