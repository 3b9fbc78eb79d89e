//! Messages, the inner layer: what the body of a data packet says, and back.
//!
//! Knows nothing of services, dictionaries or serializers: a route is a name or a code, a payload is bytes.
//! Byte layout: `docs/protocol/message.md` in the repository. Read next: [`crate::dictionary`], which joins names and codes.
//!
//! Invariants: decoding allocates nothing but for a route name in CESU-8; an encoder that fails has not touched its output.

use std::borrow::Cow;

use crate::limits::ROUTE_LEN_MAX;
use crate::text::TextError;

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{decode_incoming, decode_message};
pub use encode::{data_packet_len, encode_data_frame, encode_data_packet, encode_message};

const FLAG_ROUTE_CODE: u8 = 0x01;
const FLAG_COMPRESSED: u8 = 0x10;
const FLAG_ERROR: u8 = 0x20;
const KIND_SHIFT: u8 = 1;
const KIND_MASK: u8 = 0x07;

const KIND_REQUEST: u8 = 0;
const KIND_NOTIFY: u8 = 1;
const KIND_RESPONSE: u8 = 2;
const KIND_PUSH: u8 = 3;

/// Where a message goes: by name, or by the code a dictionary gave that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route<'a> {
    /// The name, up to 255 bytes. An empty one is possible on the wire.
    Name(Cow<'a, str>),
    /// The code that stands for a name in the connection's dictionary.
    Code(u16),
}

impl Route<'_> {
    /// The same route, owning its name.
    #[must_use]
    pub fn into_owned(self) -> Route<'static> {
        match self {
            Self::Name(name) => Route::Name(Cow::Owned(name.into_owned())),
            Self::Code(code) => Route::Code(code),
        }
    }
}

impl<'a> From<&'a str> for Route<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(Cow::Borrowed(name))
    }
}

impl From<u16> for Route<'_> {
    fn from(code: u16) -> Self {
        Self::Code(code)
    }
}

/// Where a message goes, a name still as it came: whether it is text need not be known to look it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteBytes<'a> {
    /// The name, up to 255 bytes in UTF-8, in CESU-8, or not text at all.
    Name(&'a [u8]),
    /// The code that stands for a name in the connection's dictionary.
    Code(u16),
}

/// What a message is, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageHead<'a> {
    /// A client asks and wants an answer.
    Request {
        /// The client's number for it, which its answer repeats. Clients reuse them.
        id: u64,
        /// Whom it asks.
        route: Route<'a>,
    },
    /// A client says something and wants no answer.
    Notify {
        /// Whom it tells.
        route: Route<'a>,
    },
    /// A server answers a request.
    Response {
        /// The number of the request.
        id: u64,
        /// Whether the payload is an error. Only for clients that know the flag.
        is_error: bool,
    },
    /// A server says something unasked.
    Push {
        /// What it is about.
        route: Route<'a>,
    },
}

/// One decoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is.
    pub head: MessageHead<'a>,
    /// Whether the payload is a zlib stream (some send gzip); see [`crate::inflate`].
    pub is_compressed: bool,
    /// What the message carries, a serializer's output or raw bytes; may be empty.
    pub payload: &'a [u8],
}

/// A request or a notify as its server takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// The client's number for a request, which its answer repeats; a notify has none.
    pub id: Option<u64>,
    /// Whom it asks or tells.
    pub route: RouteBytes<'a>,
    /// Whether the payload is a zlib stream (some send gzip); see [`crate::inflate`].
    pub is_compressed: bool,
    /// What the message carries, a serializer's output or raw bytes; may be empty.
    pub payload: &'a [u8],
}

/// Why bytes are not a message, or a message cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No message is shorter than two bytes.
    #[error("message of {message_len} bytes is too short")]
    TooShort {
        /// Its length.
        message_len: usize,
    },
    /// The three bits of the kind say none of request, notify, response, push.
    #[error("message kind {kind} is unknown")]
    UnknownKind {
        /// The three bits as a number, 4 to 7.
        kind: u8,
    },
    /// A response or a push came from a client; only servers send them.
    #[error("a response or push came from a client")]
    FromServer,
    /// The message ends inside the id.
    #[error("message ends inside its id")]
    IdTruncated,
    /// The id needs more than 64 bits.
    #[error("message id is over 64 bits")]
    IdTooLong,
    /// The message ends inside its route, or before it.
    #[error("message ends inside its route")]
    RouteTruncated,
    /// The route name is not text.
    #[error("route name is not text")]
    RouteNotText {
        /// What is wrong with it.
        #[source]
        source: TextError,
    },
    /// The route name to encode does not fit its length byte.
    #[error("route name of {route_len} bytes is over the limit of {ROUTE_LEN_MAX}")]
    RouteTooLong {
        /// Its length in bytes.
        route_len: usize,
    },
}

/// Why a message cannot be put into a data packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The route name does not fit its length byte.
    #[error("route name of {route_len} bytes is over the limit of {ROUTE_LEN_MAX}")]
    RouteTooLong {
        /// Its length in bytes.
        route_len: usize,
    },
    /// The whole message is over the limit of a packet's body.
    #[error("message of {body_len} bytes is over the limit of {body_len_max}")]
    BodyTooLong {
        /// The length of head and payload.
        body_len: usize,
        /// The limit in force.
        body_len_max: usize,
    },
}
