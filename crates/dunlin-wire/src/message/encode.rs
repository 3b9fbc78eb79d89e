//! Writing a message, alone or as a whole data packet.

use super::{
    EncodeError, FLAG_COMPRESSED, FLAG_ERROR, FLAG_ROUTE_CODE, KIND_NOTIFY, KIND_PUSH, KIND_REQUEST,
    KIND_RESPONSE, KIND_SHIFT, MessageError, MessageHead, Route,
};
use crate::append::append_front;
use crate::limits::{PACKET_BODY_LEN_MAX, PACKET_HEADER_LEN};
use crate::packet::{PacketKind, packet_header};
use crate::ws::{self, FRAME_HEADER_LEN_MAX};

/// The longest an id gets: 64 bits, seven in a byte.
const ID_LEN_MAX: usize = 10;

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
    let head = EncodedHead::of_packet(head, is_compressed)?;
    let (header, body_len) = head.packet_header(payload.len(), body_len_max)?;
    out.reserve(PACKET_HEADER_LEN + body_len);
    head.write_packet(header, payload, out);
    Ok(())
}

/// Appends a whole data packet as [`encode_data_packet`] does, as one binary WebSocket message of a server.
///
/// # Errors
///
/// [`EncodeError`] for what the other side would have to refuse; `out` is then as it was.
#[inline]
pub fn encode_data_frame(
    head: &MessageHead<'_>,
    is_compressed: bool,
    payload: &[u8],
    body_len_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let head = EncodedHead::of_packet(head, is_compressed)?;
    let (header, body_len) = head.packet_header(payload.len(), body_len_max)?;
    let frame_header = ws::frame_header(ws::Opcode::Binary, true, PACKET_HEADER_LEN + body_len, None);
    out.reserve(FRAME_HEADER_LEN_MAX + PACKET_HEADER_LEN + body_len);
    frame_header.append_to(out);
    head.write_packet(header, payload, out);
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
    fn of_packet(head: &'a MessageHead<'_>, is_compressed: bool) -> Result<Self, EncodeError> {
        Self::new(head, is_compressed).map_err(|route_len| EncodeError::RouteTooLong { route_len })
    }

    /// The header of a packet with this head and such a payload, and the length of the packet's body.
    #[inline]
    fn packet_header(
        &self,
        payload_len: usize,
        body_len_max: usize,
    ) -> Result<([u8; PACKET_HEADER_LEN], usize), EncodeError> {
        let body_len = self.len().saturating_add(payload_len);
        let too_long = |body_len_max| EncodeError::BodyTooLong { body_len, body_len_max };
        if body_len > body_len_max {
            return Err(too_long(body_len_max));
        }
        let header = packet_header(PacketKind::Data, body_len)
            .map_err(|_over_24_bits| too_long(PACKET_BODY_LEN_MAX))?;
        Ok((header, body_len))
    }

    #[inline]
    fn write_packet(&self, header: [u8; PACKET_HEADER_LEN], payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&header);
        self.write(out);
        out.extend_from_slice(payload);
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
        if let Some(id) = self.id {
            append_front(&id_bytes(id), id_len(id), out);
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

/// An id as it is written, then zeros: seven bits in a byte, the low ones first, and the high bit says that another byte follows.
#[inline]
fn id_bytes(id: u64) -> [u8; 16] {
    let sevens =
        (0..ID_LEN_MAX).fold(0, |sevens, at| sevens | (u128::from((id >> (7 * at)) & 0x7f) << (8 * at)));
    let all_but_last = !(u128::MAX << (8 * (id_len(id) - 1)));
    (sevens | (u128::from_le_bytes([0x80; 16]) & all_but_last)).to_le_bytes()
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
