//! Messages, the inner layer: what the body of a data packet says, and back.
//!
//! Knows nothing of services, dictionaries or serializers: a route is a name or a code, a payload is bytes.
//! Byte layout: `docs/protocol/message.md` in the repository. Read next: [`crate::dictionary`], which joins names and codes.
//!
//! Invariants: decoding allocates nothing but for a route name in CESU-8; an encoder that fails has not touched its output.

use std::borrow::Cow;

use crate::limits::{PACKET_BODY_LEN_MAX, PACKET_HEADER_LEN, ROUTE_LEN_MAX};
use crate::packet::{PacketKind, packet_header};
use crate::text::{TextError, fold_cesu8};

#[cfg(test)]
mod tests;

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

/// Reads the body of a data packet.
///
/// Bits 6 and 7 of the flag byte, and flags that have no meaning for a kind (error outside a response, route code in a response),
/// are ignored, as every known server and client does. An id may have more bytes than it needs, up to ten. A response may have an
/// empty payload.
///
/// # Errors
///
/// [`MessageError`] when the bytes are no message.
#[inline]
pub fn decode_message(body: &[u8]) -> Result<Message<'_>, MessageError> {
    let [flag, rest @ ..] = body else {
        return Err(MessageError::TooShort { message_len: 0 });
    };
    if rest.is_empty() {
        return Err(MessageError::TooShort { message_len: 1 });
    }
    let has_code = flag & FLAG_ROUTE_CODE != 0;
    let (head, payload) = match (flag >> KIND_SHIFT) & KIND_MASK {
        KIND_REQUEST => {
            let (id, rest) = split_id(rest)?;
            let (route, payload) = split_route(rest, has_code)?;
            (MessageHead::Request { id, route }, payload)
        }
        KIND_NOTIFY => {
            let (route, payload) = split_route(rest, has_code)?;
            (MessageHead::Notify { route }, payload)
        }
        KIND_RESPONSE => {
            let (id, payload) = split_id(rest)?;
            let is_error = flag & FLAG_ERROR != 0;
            (MessageHead::Response { id, is_error }, payload)
        }
        KIND_PUSH => {
            let (route, payload) = split_route(rest, has_code)?;
            (MessageHead::Push { route }, payload)
        }
        kind => return Err(MessageError::UnknownKind { kind }),
    };
    Ok(Message { head, is_compressed: flag & FLAG_COMPRESSED != 0, payload })
}

/// Appends a message, the body of a data packet, to `out`.
///
/// # Errors
///
/// [`MessageError::RouteTooLong`] for a route name over 255 bytes; `out` is then as it was.
pub fn encode_message(
    head: &MessageHead<'_>,
    is_compressed: bool,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), MessageError> {
    let head = EncodedHead::new(head, is_compressed)
        .map_err(|route_len| MessageError::RouteTooLong { route_len })?;
    out.reserve(head.len().saturating_add(payload.len()));
    head.write(out);
    out.extend_from_slice(payload);
    Ok(())
}

/// Appends a whole data packet, header and message, to `out`. `body_len_max` is the longest body the other side takes; the 24 bits
/// of the length bound it in any case.
///
/// # Errors
///
/// [`EncodeError`] for what the other side would have to refuse; `out` is then as it was.
#[inline]
pub fn encode_data_packet(
    head: &MessageHead<'_>,
    is_compressed: bool,
    payload: &[u8],
    body_len_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let head =
        EncodedHead::new(head, is_compressed).map_err(|route_len| EncodeError::RouteTooLong { route_len })?;
    let body_len = head.len().saturating_add(payload.len());
    let too_long = |body_len_max| EncodeError::BodyTooLong { body_len, body_len_max };
    if body_len > body_len_max {
        return Err(too_long(body_len_max));
    }
    let header =
        packet_header(PacketKind::Data, body_len).map_err(|_over_24_bits| too_long(PACKET_BODY_LEN_MAX))?;
    out.reserve(PACKET_HEADER_LEN + body_len);
    out.extend_from_slice(&header);
    head.write(out);
    out.extend_from_slice(payload);
    Ok(())
}

/// The length of the data packet [`encode_data_packet`] would write, header included, whether or not it would be refused.
#[must_use]
pub fn data_packet_len(head: &MessageHead<'_>, payload_len: usize) -> usize {
    let head_len = match head {
        MessageHead::Request { id, route } => 1 + id_len(*id) + route_len(route),
        MessageHead::Response { id, .. } => 1 + id_len(*id),
        MessageHead::Notify { route } | MessageHead::Push { route } => 1 + route_len(route),
    };
    (PACKET_HEADER_LEN + head_len).saturating_add(payload_len)
}

/// A head whose route is known to fit: what the encoders write first.
struct EncodedHead<'a> {
    flag: u8,
    id: Option<u64>,
    route: Option<EncodedRoute<'a>>,
}

enum EncodedRoute<'a> {
    Name { len: u8, name: &'a str },
    Code(u16),
}

impl<'a> EncodedHead<'a> {
    /// Refuses with the length of a route name that is too long.
    #[inline]
    fn new(head: &'a MessageHead<'_>, is_compressed: bool) -> Result<Self, usize> {
        let (kind, id, route) = match head {
            MessageHead::Request { id, route } => (KIND_REQUEST, Some(*id), Some(route)),
            MessageHead::Notify { route } => (KIND_NOTIFY, None, Some(route)),
            MessageHead::Response { id, .. } => (KIND_RESPONSE, Some(*id), None),
            MessageHead::Push { route } => (KIND_PUSH, None, Some(route)),
        };
        let mut flag = kind << KIND_SHIFT;
        if is_compressed {
            flag |= FLAG_COMPRESSED;
        }
        if matches!(head, MessageHead::Response { is_error: true, .. }) {
            flag |= FLAG_ERROR;
        }
        let route = match route {
            None => None,
            Some(Route::Name(name)) => {
                let len = u8::try_from(name.len()).map_err(|_over_255| name.len())?;
                Some(EncodedRoute::Name { len, name })
            }
            Some(Route::Code(code)) => {
                flag |= FLAG_ROUTE_CODE;
                Some(EncodedRoute::Code(*code))
            }
        };
        Ok(Self { flag, id, route })
    }

    #[inline]
    fn len(&self) -> usize {
        let route_len = match self.route {
            None => 0,
            Some(EncodedRoute::Name { len, .. }) => 1 + usize::from(len),
            Some(EncodedRoute::Code(_)) => 2,
        };
        1 + self.id.map_or(0, id_len) + route_len
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.flag);
        if let Some(mut id) = self.id {
            while id >= 0x80 {
                let [low, ..] = id.to_le_bytes();
                out.push(low | 0x80);
                id >>= 7;
            }
            let [low, ..] = id.to_le_bytes();
            out.push(low);
        }
        match self.route {
            None => {}
            Some(EncodedRoute::Name { len, name }) => {
                out.push(len);
                out.extend_from_slice(name.as_bytes());
            }
            Some(EncodedRoute::Code(code)) => out.extend_from_slice(&code.to_be_bytes()),
        }
    }
}

/// Bytes of an id: seven bits each, at least one.
#[inline]
fn id_len(id: u64) -> usize {
    let bits = u64::BITS - (id | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn route_len(route: &Route<'_>) -> usize {
    match route {
        Route::Name(name) => 1 + name.len(),
        Route::Code(_) => 2,
    }
}

/// Splits off an id: base 128, low bits first, the high bit says that another byte follows.
#[inline]
fn split_id(bytes: &[u8]) -> Result<(u64, &[u8]), MessageError> {
    let mut id = 0;
    let mut shift = 0;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        // The tenth byte has room for the 64th bit only, so it ends the id or breaks it.
        if shift == 63 && *byte > 1 {
            return Err(MessageError::IdTooLong);
        }
        id |= u64::from(byte & 0x7f) << shift;
        rest = tail;
        if byte & 0x80 == 0 {
            return Ok((id, rest));
        }
        shift += 7;
    }
    Err(MessageError::IdTruncated)
}

#[inline]
fn split_route(bytes: &[u8], has_code: bool) -> Result<(Route<'_>, &[u8]), MessageError> {
    if has_code {
        let (code, payload) = bytes.split_first_chunk().ok_or(MessageError::RouteTruncated)?;
        return Ok((Route::Code(u16::from_be_bytes(*code)), payload));
    }
    let (len, rest) = bytes.split_first().ok_or(MessageError::RouteTruncated)?;
    let (name, payload) = rest.split_at_checked(usize::from(*len)).ok_or(MessageError::RouteTruncated)?;
    let name = fold_cesu8(name).map_err(|source| MessageError::RouteNotText { source })?;
    Ok((Route::Name(name), payload))
}
