//! The WebSocket decoder, both roles: any split of the same bytes gives the same messages, controls and error.
#![no_main]

use dunlin_wire::ws::{DataKind, Role, WsDecoder, WsError, WsEvent, WsLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: WsLimits = WsLimits { message_len_max: 4096, fragments_max: 16, control_frames_max: 8 };

#[derive(Debug, PartialEq)]
enum Seen {
    Message(DataKind, Vec<u8>),
    Other(String),
}

/// What came whole, in order. A message cut short by an error is left out, because how much of it was seen depends on the split.
fn decode(stream: &[u8], piece_len: usize, role: Role) -> (Vec<Seen>, Option<WsError>) {
    let mut bytes = stream.to_vec();
    let mut decoder = WsDecoder::new();
    let mut seen = Vec::new();
    let mut message = Vec::new();
    for mut input in bytes.chunks_mut(piece_len) {
        loop {
            match decoder.decode(&mut input, role, &LIMITS) {
                Ok(Some(WsEvent::Data { kind, bytes, is_end })) => {
                    message.extend_from_slice(bytes);
                    assert!(message.len() as u64 <= LIMITS.message_len_max);
                    if is_end {
                        seen.push(Seen::Message(kind, std::mem::take(&mut message)));
                    }
                }
                Ok(Some(other)) => seen.push(Seen::Other(format!("{other:?}"))),
                Ok(None) => break,
                Err(error) => return (seen, Some(error)),
            }
        }
        assert!(input.is_empty());
    }
    (seen, None)
}

fuzz_target!(|data: &[u8]| {
    let [choice, stream @ ..] = data else {
        return;
    };
    let role = if choice & 0x80 == 0 { Role::Server } else { Role::Client };
    let whole = decode(stream, usize::MAX, role);
    assert_eq!(whole, decode(stream, usize::from(choice & 0x7F).max(1), role));
    assert_eq!(whole, decode(stream, 1, role));
});
