//! WebSocket (RFC 6455) as pure code: frames in both roles, the HTTP upgrade, the Origin check and the close handshake.
//!
//! Knows nothing of sockets, time, randomness or of what the messages mean. Whoever owns the connection
//!
//! 1. collects bytes until [`parse_request`] (a client: [`parse_response`]) gives a head, asks
//!    [`RequestHead::check_upgrade`] and an [`OriginPolicy`], and answers with [`encode_accept`] or [`encode_refusal`];
//! 2. hands what it reads to a [`WsDecoder`], answers pings and streams the data pieces on;
//! 3. writes with [`encode_binary`] and its siblings into a buffer of its own; a client brings the masking keys;
//! 4. keeps a [`CloseState`], which says when a Close must be sent and when the connection is over.
//!
//! No extension and no subprotocol is ever agreed on.
//!
//! Invariants: payloads are unmasked in place and never gathered, so a message costs no memory however long it is; between messages
//! a decoder holds no buffer; the same bytes give the same messages, however they were split on the way.

mod close;
mod decode;
mod encode;
mod error;
mod header;
mod limits;
mod mask;
mod origin;
mod upgrade;
mod utf8;

#[cfg(test)]
mod tests;

pub use close::{CloseFrame, CloseState, CloseStep, code, is_sendable_code};
pub use decode::{Control, DataKind, WsDecoder, WsEvent};
pub use encode::{
    FrameHeader, encode_binary, encode_close, encode_ping, encode_pong, encode_text, frame_header, frame_len,
};
pub use error::WsError;
pub use header::{Opcode, Role};
pub use limits::{
    CLOSE_REASON_LEN_MAX, CONTROL_LEN_MAX, FRAME_HEADER_LEN_MAX, HEAD_LEN_MAX, HEADER_COUNT_MAX, WsLimits,
};
pub use mask::apply_mask;
pub use origin::OriginPolicy;
pub use upgrade::request::{HttpError, RequestHead, UpgradeError, parse_request};
pub use upgrade::response::{ResponseError, ResponseHead, parse_response};
pub use upgrade::{
    UpgradeRequest, UpgradeRequestError, accept_key, encode_accept, encode_refusal, encode_request,
    websocket_key,
};
