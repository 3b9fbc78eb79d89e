//! What the load says: nano packets, bare on TCP or each in one masked binary WebSocket frame.
//!
//! Encoding only; the other direction is `inbound.rs`. Knows nothing of sockets.

use std::net::SocketAddr;

use dunlin_wire::ws::{UpgradeRequest, UpgradeRequestError, encode_request};

/// Length of an echo body: what a small game message weighs.
pub const BODY_LEN: usize = 32;
/// The key of every upgrade; it protects nothing, so one does for all.
pub const UPGRADE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// Packet types of the protocol that the load uses.
pub mod kind {
    /// Handshake, both directions.
    pub const HANDSHAKE: u8 = 1;
    /// The client's acknowledgement of the handshake.
    pub const ACK: u8 = 2;
    /// Heartbeat, both directions.
    pub const HEARTBEAT: u8 = 3;
    /// A message.
    pub const DATA: u8 = 4;
    /// To a raw peer only: join the group of the broadcast.
    pub const RAW_JOIN: u8 = 0x10;
    /// To a raw peer only: broadcast to the group.
    pub const RAW_BURST: u8 = 0x11;
}
const HANDSHAKE_BODY: &[u8] = br#"{"sys":{"type":"bench","version":"0.0.1"},"user":{}}"#;
const OPCODE_BINARY_FIN: u8 = 0x82;
const MASK_BIT: u8 = 0x80;
/// Any key does; a key of zeros would let a server that looks for it skip the work of unmasking.
const MASK_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Request ids run over the two-byte varints, so that every request has the same length.
const ID_FIRST: u64 = 128;
const ID_COUNT: u64 = 16_384 - ID_FIRST;

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// Packets one after another on a TCP stream.
    Tcp,
    /// One packet in one binary WebSocket message.
    Ws,
}

/// How the load speaks to one server.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What carries the packets.
    pub transport: Transport,
    /// The server echoes packets as they are: no handshake, no routes.
    pub is_raw: bool,
}

/// Bytes for one connection that leave it in one write.
#[derive(Debug)]
pub struct Outbox<'a> {
    /// How to encode what is put in.
    pub dialect: Dialect,
    /// The encoded bytes.
    pub bytes: &'a mut Vec<u8>,
}

impl Outbox<'_> {
    /// Adds one packet whose body is `head` followed by `body`.
    pub fn put_packet(&mut self, kind: u8, head: &[u8], body: &[u8]) {
        let body_len = head.len() + body.len();
        let [_, len_high, len_mid, len_low] = u32::try_from(body_len).unwrap_or(u32::MAX).to_be_bytes();
        let header = [kind, len_high, len_mid, len_low];
        let is_framed = self.dialect.transport == Transport::Ws;
        if is_framed {
            put_frame_header(header.len() + body_len, self.bytes);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        if is_framed {
            for (byte, key) in self.bytes[start..].iter_mut().zip(MASK_KEY.iter().cycle()) {
                *byte ^= key;
            }
        }
    }

    /// Adds the client's handshake.
    pub fn put_handshake(&mut self) {
        self.put_packet(kind::HANDSHAKE, HANDSHAKE_BODY, &[]);
    }

    /// Adds a request; `sequence` picks its id.
    pub fn put_request(&mut self, sequence: u64, route: &str, body: &[u8]) {
        let id = request_id(sequence);
        let mut head = Vec::with_capacity(4 + route.len());
        let low = u8::try_from(id & 0x7f).unwrap_or(0) | 0x80;
        let high = u8::try_from(id >> 7).unwrap_or(0);
        let route_len = u8::try_from(route.len()).unwrap_or(u8::MAX);
        head.extend_from_slice(&[0, low, high, route_len]);
        head.extend_from_slice(route.as_bytes());
        self.put_packet(kind::DATA, &head, body);
    }
}

fn put_frame_header(payload_len: usize, out: &mut Vec<u8>) {
    out.push(OPCODE_BINARY_FIN);
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(len @ 0..=125), _) => out.push(MASK_BIT | len),
        (_, Ok(len)) => {
            out.push(MASK_BIT | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(MASK_BIT | 127);
            out.extend_from_slice(&u64::try_from(payload_len).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK_KEY);
}

/// The id that the request numbered `sequence` carries.
#[must_use]
pub fn request_id(sequence: u64) -> u64 {
    ID_FIRST + sequence % ID_COUNT
}

/// Appends the upgrade request of a WebSocket connection.
///
/// # Errors
///
/// Never with an address for a host, which is for the codec to know.
pub fn put_upgrade_request(target: SocketAddr, out: &mut Vec<u8>) -> Result<(), UpgradeRequestError> {
    let host = target.to_string();
    encode_request(
        &UpgradeRequest { host: &host, path: "/", key: UPGRADE_KEY, origin: None, headers: &[] },
        out,
    )
}

/// A body that names its connection and its number, in letters, so that a reply of somebody else's is seen.
#[must_use]
pub fn echo_body(conn: usize, sequence: u64) -> [u8; BODY_LEN] {
    let mut body = *b"................bench-load-body.";
    let numbers = (u64::try_from(conn).unwrap_or(0) << 40) | (sequence & 0xff_ffff_ffff);
    for (index, byte) in body.iter_mut().take(16).enumerate() {
        *byte = b'A' + u8::try_from((numbers >> (index * 4)) & 0xf).unwrap_or(0);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_on_tcp_has_the_bytes_of_the_protocol() {
        let mut bytes = Vec::new();
        let mut out =
            Outbox { dialect: Dialect { transport: Transport::Tcp, is_raw: false }, bytes: &mut bytes };
        out.put_request(172, "Room.Echo", b"x");
        assert_eq!(bytes, b"\x04\x00\x00\x0e\x00\xac\x02\x09Room.Echox");
    }

    #[test]
    fn requests_with_different_numbers_have_one_length() {
        for sequence in [0, 1, 127, 16_255, 16_256, 1 << 40] {
            assert!((128..16_384).contains(&request_id(sequence)));
        }
    }

    #[test]
    fn bodies_of_neighbours_differ() {
        assert_ne!(echo_body(1, 7), echo_body(2, 7));
        assert_ne!(echo_body(1, 7), echo_body(1, 8));
    }
}
