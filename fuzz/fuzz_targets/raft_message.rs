//! The message stream: any split of the same bytes gives the same messages and the same error, within the limits.
#![no_main]

use bytes::BytesMut;
use dunlin_rafthttp::raftpb::Message;
use dunlin_rafthttp::{MessageDecoder, MessageStreamError, RaftLimits, StreamEvent, encode_message};
use libfuzzer_sys::fuzz_target;

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 4096, snapshot_message_len_max: 4096, entries_max: 16, members_max: 16 };

type Decoded = (Vec<StreamEvent>, Option<MessageStreamError>);

fn decode(stream: &[u8], piece_len: usize, limits: RaftLimits) -> Decoded {
    let mut decoder = MessageDecoder::new(limits);
    let mut events = Vec::new();
    for mut input in stream.chunks(piece_len) {
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(input.is_empty());
        assert!(decoder.buffered_len() < limits.message_len_max);
        assert!(!decoder.is_idle() || decoder.buffered_len() == 0);
    }
    (events, None)
}

fuzz_target!(|data: &[u8]| {
    // The first byte picks the pieces, so that the fuzzer finds splits that matter.
    let Some((piece_len, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(stream, usize::MAX, LIMITS);
    assert_eq!(whole, decode(stream, usize::from(*piece_len).max(1), LIMITS));
    assert_eq!(whole, decode(stream, 1, LIMITS));
    let mut written = BytesMut::new();
    for event in &whole.0 {
        let message = match event {
            StreamEvent::LinkHeartbeat => &Message::link_heartbeat(),
            StreamEvent::Message(message) => message,
        };
        assert!(message.entries.len() <= LIMITS.entries_max);
        encode_message(message, &RaftLimits::DEFAULT, &mut written).expect("it is within the limits");
    }
    assert_eq!(decode(&written, usize::MAX, RaftLimits::DEFAULT), (whole.0, None));
});
