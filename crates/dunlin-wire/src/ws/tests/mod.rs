//! Tests of the WebSocket codec, one file for each kind of claim, and the small harness they share.

mod closing;
mod frames;
mod origins;
mod property;
mod text;
mod upgrades;

use super::*;

/// The key of RFC 6455's own examples.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a stream said, with the data pieces of a message put together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Message(DataKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseFrame>),
}

/// A decoder that is fed in pieces and remembers what it heard.
#[derive(Debug)]
struct Listener {
    role: Role,
    limits: WsLimits,
    decoder: WsDecoder,
    message: Vec<u8>,
    heard: Vec<Heard>,
}

impl Listener {
    fn new(role: Role) -> Self {
        Self::with_limits(role, WsLimits::DEFAULT)
    }

    fn with_limits(role: Role, limits: WsLimits) -> Self {
        Self { role, limits, decoder: WsDecoder::new(), message: Vec::new(), heard: Vec::new() }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), WsError> {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = self.decoder.decode(&mut input, self.role, &self.limits)? {
            match event {
                WsEvent::Data { kind, bytes, is_end } => {
                    assert!(is_end || !bytes.is_empty(), "a piece says something");
                    self.message.extend_from_slice(bytes);
                    if is_end {
                        self.heard.push(Heard::Message(kind, std::mem::take(&mut self.message)));
                    }
                }
                WsEvent::Ping(control) => self.heard.push(Heard::Ping(control.as_slice().to_vec())),
                WsEvent::Pong(control) => self.heard.push(Heard::Pong(control.as_slice().to_vec())),
                WsEvent::Close(close) => self.heard.push(Heard::Close(close)),
            }
        }
        assert!(input.is_empty(), "a decoder that wants more has taken everything");
        Ok(())
    }
}

/// What a server hears when `bytes` come in one piece.
fn hear(bytes: &[u8]) -> Result<Vec<Heard>, WsError> {
    hear_as(Role::Server, bytes)
}

/// What `role` hears when `bytes` come in one piece; the same must be heard when they come one by one.
fn hear_as(role: Role, bytes: &[u8]) -> Result<Vec<Heard>, WsError> {
    let mut whole = Listener::new(role);
    let mut slow = Listener::new(role);
    let result = whole.feed(bytes);
    assert_eq!(bytes.iter().try_for_each(|&byte| slow.feed(&[byte])), result);
    assert_eq!(slow.heard, whole.heard);
    result.map(|()| whole.heard)
}

/// A masked frame as a client sends it.
fn frame(opcode: Opcode, is_fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_header(opcode, is_fin, payload.len(), Some(KEY)).as_slice().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    apply_mask(&mut bytes[start..], KEY);
    bytes
}

fn binary(payload: &[u8]) -> Heard {
    Heard::Message(DataKind::Binary, payload.to_vec())
}

fn text(payload: &str) -> Heard {
    Heard::Message(DataKind::Text, payload.as_bytes().to_vec())
}
