//! The msgapp stream: any split of the same bytes gives the same appends and the same error, and what was read can be written.
#![no_main]

use bytes::BytesMut;
use dunlin_rafthttp::raftpb::{Message, MessageType};
use dunlin_rafthttp::{MsgAppDecoder, MsgAppEncoder, MsgAppError, RaftLimits, StreamEnds, StreamEvent};
use libfuzzer_sys::fuzz_target;

const ENDS: StreamEnds = StreamEnds { from: 1, to: 2 };
const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 4096, snapshot_message_len_max: 4096, entries_max: 16, members_max: 16 };

type Decoded = (Vec<StreamEvent>, Option<MsgAppError>);

fn decode(stream: &[u8], piece_len: usize, limits: RaftLimits) -> Decoded {
    let mut decoder = MsgAppDecoder::new(ENDS, limits);
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
    // What a peer sends as a whole message may be of any type; the encoder takes appends.
    let (mut events, _) = whole;
    events.retain(|event| match event {
        StreamEvent::LinkHeartbeat => true,
        StreamEvent::Message(message) => message.is(MessageType::App),
    });
    let mut encoder = MsgAppEncoder::new(ENDS, RaftLimits::DEFAULT);
    let mut written = BytesMut::new();
    for event in &events {
        let message = match event {
            StreamEvent::LinkHeartbeat => &Message::link_heartbeat(),
            StreamEvent::Message(message) => message,
        };
        assert!(message.entries.len() <= LIMITS.entries_max);
        encoder.encode(message, &mut written).expect("it is within the limits");
    }
    assert_eq!(decode(&written, usize::MAX, RaftLimits::DEFAULT), (events, None));
});
