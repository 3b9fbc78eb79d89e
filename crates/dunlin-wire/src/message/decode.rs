//! Reading a message: flag byte, id, route, payload.

use super::{
    FLAG_COMPRESSED, FLAG_ERROR, FLAG_ROUTE_CODE, Incoming, KIND_MASK, KIND_NOTIFY, KIND_PUSH, KIND_REQUEST,
    KIND_RESPONSE, KIND_SHIFT, Message, MessageError, MessageHead, Route, RouteBytes,
};
use crate::text::fold_cesu8;

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
            (MessageHead::Request { id, route: route.read()? }, payload)
        }
        KIND_NOTIFY => {
            let (route, payload) = split_route(rest, has_code)?;
            (MessageHead::Notify { route: route.read()? }, payload)
        }
        KIND_RESPONSE => {
            let (id, payload) = split_id(rest)?;
            let is_error = flag & FLAG_ERROR != 0;
            (MessageHead::Response { id, is_error }, payload)
        }
        KIND_PUSH => {
            let (route, payload) = split_route(rest, has_code)?;
            (MessageHead::Push { route: route.read()? }, payload)
        }
        kind => return Err(MessageError::UnknownKind { kind }),
    };
    Ok(Message { head, is_compressed: flag & FLAG_COMPRESSED != 0, payload })
}

/// Reads the body of a data packet as its server does, who takes only requests and notifies, and looks a route up by its bytes.
///
/// # Errors
///
/// [`MessageError`] when the bytes are no message, but for a route name that is not text, or not one of a client.
#[inline]
pub fn decode_incoming(body: &[u8]) -> Result<Incoming<'_>, MessageError> {
    let [flag, rest @ ..] = body else {
        return Err(MessageError::TooShort { message_len: 0 });
    };
    if rest.is_empty() {
        return Err(MessageError::TooShort { message_len: 1 });
    }
    let (id, rest) = match (flag >> KIND_SHIFT) & KIND_MASK {
        KIND_REQUEST => split_id(rest).map(|(id, rest)| (Some(id), rest))?,
        KIND_NOTIFY => (None, rest),
        KIND_RESPONSE | KIND_PUSH => return Err(MessageError::FromServer),
        kind => return Err(MessageError::UnknownKind { kind }),
    };
    let (route, payload) = split_route(rest, flag & FLAG_ROUTE_CODE != 0)?;
    Ok(Incoming { id, route, is_compressed: flag & FLAG_COMPRESSED != 0, payload })
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
fn split_route(bytes: &[u8], has_code: bool) -> Result<(RouteBytes<'_>, &[u8]), MessageError> {
    if has_code {
        let (code, payload) = bytes.split_first_chunk().ok_or(MessageError::RouteTruncated)?;
        return Ok((RouteBytes::Code(u16::from_be_bytes(*code)), payload));
    }
    let (len, rest) = bytes.split_first().ok_or(MessageError::RouteTruncated)?;
    let (name, payload) = rest.split_at_checked(usize::from(*len)).ok_or(MessageError::RouteTruncated)?;
    Ok((RouteBytes::Name(name), payload))
}

impl<'a> RouteBytes<'a> {
    /// The route, its name read as text.
    ///
    /// # Errors
    ///
    /// [`MessageError::RouteNotText`] when the name is not.
    #[inline]
    pub fn read(self) -> Result<Route<'a>, MessageError> {
        match self {
            Self::Name(name) => match fold_cesu8(name) {
                Ok(name) => Ok(Route::Name(name)),
                Err(source) => Err(MessageError::RouteNotText { source }),
            },
            Self::Code(code) => Ok(Route::Code(code)),
        }
    }
}
