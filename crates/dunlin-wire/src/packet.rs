//! Packets, the outer layer of the client protocol: bytes in, packets out, and back.
//!
//! Knows nothing of sockets, time or sessions. Whoever owns the socket feeds what it read to a [`PacketDecoder`] and takes
//! packets until it wants more bytes. Byte layout: `docs/protocol/packet.md` in the repository. Read next: [`crate::message`],
//! the body of a data packet.
//!
//! Invariants: the same bytes give the same packets, however they were split on the way; a body is borrowed from the input when
//! it is whole there and copied once when it is not; between packets a decoder holds no buffer.

use std::borrow::Cow;

use crate::limits::{PACKET_BODY_LEN_MAX, PACKET_HEADER_LEN, PARTIAL_BODY_LEN_START};

#[cfg(test)]
mod tests;

/// What a packet is for: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketKind {
    /// The client's first packet and the server's answer to it; JSON.
    Handshake = 1,
    /// The client has read the answer; empty. Data may flow from here on.
    HandshakeAck = 2,
    /// A sign of life, either way; empty.
    Heartbeat = 3,
    /// One message, either way.
    Data = 4,
    /// The server is about to close the connection; JSON with the reason, or empty.
    Kick = 5,
}

impl TryFrom<u8> for PacketKind {
    type Error = PacketError;

    #[inline]
    fn try_from(byte: u8) -> Result<Self, PacketError> {
        match byte {
            1 => Ok(Self::Handshake),
            2 => Ok(Self::HandshakeAck),
            3 => Ok(Self::Heartbeat),
            4 => Ok(Self::Data),
            5 => Ok(Self::Kick),
            kind => Err(PacketError::UnknownKind { kind }),
        }
    }
}

/// One whole packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: PacketKind,
    /// What it carries: borrowed from the input where it came in one piece.
    pub body: Cow<'a, [u8]>,
}

/// Why bytes are not packets, or a body not a packet's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The first byte is none of the five kinds.
    #[error("packet kind {kind} is unknown")]
    UnknownKind {
        /// The byte.
        kind: u8,
    },
    /// The body is over the limit; nothing was allocated for it.
    #[error("packet body of {body_len} bytes is over the limit of {body_len_max}")]
    BodyTooLong {
        /// The length the header announces, or that was to be encoded.
        body_len: usize,
        /// The limit in force.
        body_len_max: usize,
    },
}

/// A heartbeat, ready to send.
pub const HEARTBEAT_PACKET: [u8; PACKET_HEADER_LEN] = [PacketKind::Heartbeat as u8, 0, 0, 0];

/// A handshake acknowledgement, ready to send.
pub const ACK_PACKET: [u8; PACKET_HEADER_LEN] = [PacketKind::HandshakeAck as u8, 0, 0, 0];

/// Takes packets out of a stream of bytes that comes in pieces of any size.
///
/// One pointer wide, and null between packets: an idle connection pays eight bytes.
///
/// ```
/// use dunlin_wire::{PacketDecoder, PacketKind};
///
/// let mut decoder = PacketDecoder::new();
/// let mut input: &[u8] = &[3, 0, 0, 0, 4, 0, 0];
/// let packet = decoder.decode(&mut input, 1024)?.expect("a whole heartbeat is there");
/// assert_eq!(packet.kind, PacketKind::Heartbeat);
/// assert_eq!(decoder.decode(&mut input, 1024)?, None); // Three bytes of the next one are kept.
/// # Ok::<(), dunlin_wire::PacketError>(())
/// ```
#[derive(Debug, Default)]
pub struct PacketDecoder {
    partial: Option<Box<Partial>>,
}

const _: () = assert!(size_of::<PacketDecoder>() == 8 || size_of::<usize>() != 8);

/// The beginning of a packet whose end has not come.
#[derive(Debug, Default)]
struct Partial {
    header: [u8; PACKET_HEADER_LEN],
    header_len: u8,
    body: Vec<u8>,
}

impl PacketDecoder {
    /// A decoder at the beginning of a packet.
    #[must_use]
    pub const fn new() -> Self {
        Self { partial: None }
    }

    /// Takes the next whole packet from the front of `input` and advances it, or `None` when all of `input` was taken
    /// and more must come. A body that is whole in `input` is borrowed; one that came in pieces is owned, and was copied once.
    ///
    /// `body_len_max` is checked as soon as the header is there, before anything is allocated for the body.
    ///
    /// # Errors
    ///
    /// [`PacketError`] when the peer broke the protocol. The bytes after that mean nothing: the decoder is spent and the
    /// connection has to end.
    #[inline]
    pub fn decode<'a>(
        &mut self,
        input: &mut &'a [u8],
        body_len_max: usize,
    ) -> Result<Option<Packet<'a>>, PacketError> {
        if self.partial.is_none() {
            if let Some((header, rest)) = input.split_first_chunk() {
                let (kind, body_len) = parse_header(*header, body_len_max)?;
                if let Some((body, rest)) = rest.split_at_checked(body_len) {
                    *input = rest;
                    let body = Cow::Borrowed(body);
                    return Ok(Some(Packet { kind, body }));
                }
            } else if input.is_empty() {
                return Ok(None);
            }
        }
        self.decode_in_pieces(input, body_len_max)
    }

    /// Bytes held of a packet whose end has not come; 0 between packets.
    #[must_use]
    pub fn buffered_len(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| usize::from(partial.header_len) + partial.body.len())
    }

    /// Whether the stream stands between two packets, where it may end without loss.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    #[cold]
    fn decode_in_pieces<'a>(
        &mut self,
        input: &mut &'a [u8],
        body_len_max: usize,
    ) -> Result<Option<Packet<'a>>, PacketError> {
        let partial = self.partial.get_or_insert_default();
        partial.take_header(input);
        if let Some(&kind) = partial.header.first() {
            PacketKind::try_from(kind)?;
        }
        if usize::from(partial.header_len) < PACKET_HEADER_LEN {
            return Ok(None);
        }
        let (kind, body_len) = parse_header(partial.header, body_len_max)?;
        // The header may have come alone and the whole body now: then it still need not be copied.
        if partial.body.is_empty()
            && let Some((body, rest)) = input.split_at_checked(body_len)
        {
            *input = rest;
            self.partial = None;
            let body = Cow::Borrowed(body);
            return Ok(Some(Packet { kind, body }));
        }
        partial.take_body(input, body_len);
        if partial.body.len() < body_len {
            return Ok(None);
        }
        let body = Cow::Owned(std::mem::take(&mut partial.body));
        self.partial = None;
        Ok(Some(Packet { kind, body }))
    }
}

impl Partial {
    fn take_header(&mut self, input: &mut &[u8]) {
        let missing = self.header.iter_mut().skip(usize::from(self.header_len));
        for (slot, &byte) in missing.zip(*input) {
            *slot = byte;
            self.header_len += 1;
            *input = input.get(1..).unwrap_or_default();
        }
    }

    fn take_body(&mut self, input: &mut &[u8], body_len: usize) {
        let missing_len = body_len.saturating_sub(self.body.len());
        let (taken, rest) = input.split_at(missing_len.min(input.len()));
        let wanted = self.body.len() + taken.len();
        if wanted > self.body.capacity() {
            // Doubling keeps the copying linear; the announced length only ever makes the buffer smaller.
            let capacity = (self.body.capacity() * 2).max(PARTIAL_BODY_LEN_START);
            let capacity = capacity.max(wanted).min(body_len);
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(taken);
        *input = rest;
    }
}

#[inline]
fn parse_header(
    header: [u8; PACKET_HEADER_LEN],
    body_len_max: usize,
) -> Result<(PacketKind, usize), PacketError> {
    let [kind, high, mid, low] = header;
    let kind = PacketKind::try_from(kind)?;
    let body_len = (usize::from(high) << 16) | (usize::from(mid) << 8) | usize::from(low);
    if body_len > body_len_max {
        return Err(PacketError::BodyTooLong { body_len, body_len_max });
    }
    Ok((kind, body_len))
}

/// The header of a packet with a body of `body_len` bytes.
///
/// # Errors
///
/// [`PacketError::BodyTooLong`] when the length does not fit its 24 bits.
#[inline]
pub fn packet_header(kind: PacketKind, body_len: usize) -> Result<[u8; PACKET_HEADER_LEN], PacketError> {
    match u32::try_from(body_len) {
        Ok(len) if body_len <= PACKET_BODY_LEN_MAX => {
            let [_, high, mid, low] = len.to_be_bytes();
            Ok([kind as u8, high, mid, low])
        }
        _ => Err(PacketError::BodyTooLong { body_len, body_len_max: PACKET_BODY_LEN_MAX }),
    }
}

/// Appends a whole packet to `out`.
///
/// # Errors
///
/// [`PacketError::BodyTooLong`] when the length does not fit its 24 bits; `out` is then as it was.
pub fn encode_packet(kind: PacketKind, body: &[u8], out: &mut Vec<u8>) -> Result<(), PacketError> {
    let header = packet_header(kind, body.len())?;
    out.reserve(PACKET_HEADER_LEN + body.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
    Ok(())
}
