//! What a server says: received bytes to packets, and the few packets the load asks for.
//!
//! Unlike the codec of the project it keeps nothing between calls: whoever calls keeps the unfinished tail.

use crate::dialect::{Dialect, Transport, kind};

/// A packet from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// The answer to the handshake.
    Handshake(&'a [u8]),
    /// A heartbeat, to be answered.
    Heartbeat,
    /// The answer to the request with this id; from a raw peer the request itself.
    Reply {
        /// The id of the request.
        id: u64,
        /// The payload.
        body: &'a [u8],
    },
    /// A push, whatever its route.
    Push(&'a [u8]),
    /// A packet that steers a raw peer came back.
    Steered,
}

/// The server broke the protocol or ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// Takes one packet from the front of `input`; `None` when it is not whole yet.
///
/// # Errors
///
/// [`Broken`] when the bytes are no packet, or say that the connection ends.
pub fn next_packet<'a>(dialect: Dialect, input: &mut &'a [u8]) -> Result<Option<Inbound<'a>>, Broken> {
    let packet = match dialect.transport {
        Transport::Tcp => next_on_stream(input),
        Transport::Ws => next_frame(input)?,
    };
    packet.map(understand).transpose()
}

fn next_on_stream<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = packet_len(input)?;
    let (packet, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(packet)
}

fn packet_len(bytes: &[u8]) -> Option<usize> {
    let [_, high, mid, low, ..] = *bytes else { return None };
    Some(4 + ((usize::from(high) << 16) | (usize::from(mid) << 8) | usize::from(low)))
}

/// One unmasked frame; the server must put exactly one packet into each, as old clients need.
fn next_frame<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
    let [opcode, short_len, ..] = **input else { return Ok(None) };
    let (header_len, payload_len): (usize, usize) = match short_len {
        126 => match **input {
            [_, _, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return Ok(None),
        },
        127 => match input.get(2..10).and_then(|len| <[u8; 8]>::try_from(len).ok()) {
            Some(len) => (10, usize::try_from(u64::from_be_bytes(len)).unwrap_or(usize::MAX)),
            None => return Ok(None),
        },
        0..=125 => (2, usize::from(short_len)),
        _ => return Err(Broken("a masked frame from a server")),
    };
    let Some(payload) = input.get(header_len..header_len.saturating_add(payload_len)) else {
        return Ok(None);
    };
    *input = input.get(header_len + payload_len..).unwrap_or_default();
    match opcode {
        0x82 => {}
        0x88 => return Err(Broken("a close frame")),
        _ => return Err(Broken("a frame that is not one whole binary message")),
    }
    if packet_len(payload) != Some(payload.len()) {
        return Err(Broken("a frame that does not hold exactly one packet"));
    }
    Ok(Some(payload))
}

fn understand(packet: &[u8]) -> Result<Inbound<'_>, Broken> {
    let (Some(kind), Some(body)) = (packet.first(), packet.get(4..)) else {
        return Err(Broken("a short packet"));
    };
    match *kind {
        kind::HANDSHAKE => Ok(Inbound::Handshake(body)),
        kind::HEARTBEAT => Ok(Inbound::Heartbeat),
        kind::DATA => understand_message(body).ok_or(Broken("a message that cannot be read")),
        kind::RAW_JOIN | kind::RAW_BURST => Ok(Inbound::Steered),
        _ => Err(Broken("an unexpected packet")),
    }
}

/// A request stands for a reply, since a raw peer sends back what it got.
fn understand_message(body: &[u8]) -> Option<Inbound<'_>> {
    let (flag, rest) = body.split_first()?;
    match flag {
        0x00 => {
            let (id, rest) = take_id(rest)?;
            Some(Inbound::Reply { id, body: skip_route(rest)? })
        }
        0x04 => {
            let (id, body) = take_id(rest)?;
            Some(Inbound::Reply { id, body })
        }
        0x06 => Some(Inbound::Push(skip_route(rest)?)),
        _ => None,
    }
}

fn take_id(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut id = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        id |= u64::from(byte & 0x7f) << (index * 7);
        if byte & 0x80 == 0 {
            return Some((id, bytes.get(index + 1..)?));
        }
    }
    None
}

fn skip_route(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first()?;
    rest.get(usize::from(*len)..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: Dialect = Dialect { transport: Transport::Ws, is_raw: false };
    const TCP: Dialect = Dialect { transport: Transport::Tcp, is_raw: false };

    #[test]
    fn a_response_cut_anywhere_waits_for_the_rest() {
        let bytes = b"\x04\x00\x00\x05\x04\xac\x02ok";
        for cut in 0..bytes.len() {
            assert_eq!(next_packet(TCP, &mut &bytes[..cut]), Ok(None));
        }
        let mut input = &bytes[..];
        assert_eq!(next_packet(TCP, &mut input), Ok(Some(Inbound::Reply { id: 300, body: b"ok" })));
        assert!(input.is_empty());
    }

    #[test]
    fn two_packets_in_one_frame_break_the_connection() {
        let mut frame = vec![0x82, 8];
        frame.extend_from_slice(b"\x03\x00\x00\x00\x03\x00\x00\x00");
        assert!(next_packet(WS, &mut &frame[..]).is_err());
        let mut frame = &[0x82, 4, 3, 0, 0, 0][..];
        assert_eq!(next_packet(WS, &mut frame), Ok(Some(Inbound::Heartbeat)));
    }
}
