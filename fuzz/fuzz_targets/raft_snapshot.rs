//! The body of a snapshot: any split of the same bytes gives the same message, database and error.
#![no_main]

use dunlin_rafthttp::raftpb::{Message, MessageType};
use dunlin_rafthttp::{RaftLimits, SnapshotDecoder, SnapshotError, SnapshotEvent};
use libfuzzer_sys::fuzz_target;

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 4096, snapshot_message_len_max: 2048, entries_max: 16, members_max: 16 };

type Decoded = (Option<Message>, Vec<u8>, Result<u64, SnapshotError>);

fn decode(stream: &[u8], piece_len: usize) -> Decoded {
    let mut decoder = SnapshotDecoder::new(LIMITS);
    let (mut head, mut database) = (None, Vec::new());
    for mut input in stream.chunks(piece_len) {
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(SnapshotEvent::Head(message))) => {
                    assert!(head.is_none() && message.is(MessageType::Snap));
                    head = Some(message);
                }
                Ok(Some(SnapshotEvent::Body(bytes))) => {
                    assert!(head.is_some() && !bytes.is_empty());
                    database.extend_from_slice(bytes);
                }
                Ok(None) => break,
                Err(error) => return (head, database, Err(error)),
            }
        }
        assert!(input.is_empty());
        assert!(decoder.buffered_len() < LIMITS.snapshot_message_len_max);
    }
    let end = decoder.handle_end();
    assert_eq!(end.is_ok(), head.is_some());
    (head, database, end)
}

fuzz_target!(|data: &[u8]| {
    // The first byte picks the pieces, so that the fuzzer finds splits that matter.
    let Some((piece_len, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(stream, usize::MAX);
    assert_eq!(whole, decode(stream, usize::from(*piece_len).max(1)));
    assert_eq!(whole, decode(stream, 1));
    if let Ok(database_len) = whole.2 {
        assert_eq!(database_len, whole.1.len() as u64);
    }
});
