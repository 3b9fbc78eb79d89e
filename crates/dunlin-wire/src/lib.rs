//! The client protocol of nano, pomelo and pitaya, and WebSocket framing, as pure code: bytes and times in, values out.
//!
//! Nothing here opens a socket, reads a clock, draws a random number or starts a task. Whoever owns the
//! connection feeds bytes and the current [`Millis`] in, and takes packets, events and bytes to send out.
//!
//! ```text
//! bytes ─ ws ─▶ packet ─▶ server / client (states, heartbeat) ─▶ message ─▶ route, payload
//! ```
//!
//! - [`packet`]: the outer layer, four bytes of header and a body. Start here.
//! - [`message`]: what a data packet carries: request, notify, response or push.
//! - [`handshake`], [`kick`]: the JSON bodies of the other packets.
//! - [`server`], [`client`]: the two ends of one connection as state machines.
//! - [`text`], [`compress`], [`dictionary`]: what old clients need to be understood and answered.
//! - [`proxy`]: what a proxy says of a connection before its first byte.
//! - [`ws`]: RFC 6455 framing and the HTTP upgrade, for connections that come from a browser.
//!
//! Invariants: input from the peer never panics and nothing is allocated for a length before that length
//! was checked against its limit; the same bytes give the same packets however they were split on the way;
//! an encoder that returns an error has not touched its output.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod append;
pub mod client;
pub mod compress;
pub mod dictionary;
pub mod handshake;
pub mod kick;
pub mod limits;
pub mod message;
pub mod packet;
pub mod proxy;
pub mod server;
pub mod text;
pub mod time;
pub mod ws;

pub use client::{ClientConfig, ClientError, ClientEvent, ClientProtocol, ClientState, ErrorBody, SendError};
pub use compress::{InflateError, deflate_if_smaller, inflate};
pub use dictionary::{DictionaryError, RouteDictionary};
pub use handshake::{
    CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB, ClientAbilities, ClientKind, ClientSys, HandshakeError,
    HandshakeRequest, HandshakeResponse, ServerSys,
};
pub use kick::{KickReason, encode_away, encode_kick, parse_away, parse_kick};
pub use limits::{
    INFLATED_LEN_MAX_DEFAULT, KICK_REASON_LEN_MAX, PACKET_BODY_LEN_IN_DEFAULT, PACKET_BODY_LEN_MAX,
    PACKET_HEADER_LEN, REQUEST_ID_MAX, ROUTE_LEN_MAX,
};
pub use message::{
    EncodeError, Incoming, Message, MessageError, MessageHead, Route, RouteBytes, data_packet_len,
    decode_incoming, decode_message, encode_data_frame, encode_data_packet, encode_message,
};
pub use packet::{
    ACK_PACKET, HEARTBEAT_PACKET, Packet, PacketDecoder, PacketError, PacketKind, encode_packet,
    packet_header,
};
pub use proxy::{PROXY_HEADER_LEN_MAX, ProxyDecoder, ProxyError, ProxyHeader};
pub use server::{Liveness, ProtocolError, ServerEvent, ServerProtocol, ServerState};
pub use text::{TextError, escape_non_bmp, fold_cesu8};
pub use time::Millis;
