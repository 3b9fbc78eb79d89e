//! Captured traffic of etcd 3.4.23, etcd 3.5.1 and raftexample 3.4.23: all of it decodes, however it is cut, and what Go wrote is
//! written again to the same bytes.

use bytes::BytesMut;
use dunlin_rafthttp::raftpb::{self, EntryType, Message, MessageType};
use dunlin_rafthttp::{
    MessageDecoder, MsgAppDecoder, MsgAppEncoder, RaftLimits, SnapshotDecoder, SnapshotEvent, StreamEnds,
    StreamEvent, encode_message, encode_snapshot_head,
};

use crate::captured::{Captured, bodies};

const LIMITS: RaftLimits = RaftLimits::DEFAULT;

/// Who wrote the bytes, and so whether ours are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// etcd 3.4 or 3.5, whose dialect is ours.
    Go,
    /// A node over the crate `raft`, which leaves zeros out.
    Sparse,
}

use Writer::{Go, Sparse};

struct Stream {
    name: &'static str,
    request: &'static [u8],
    response: &'static [u8],
    writer: Writer,
    /// What is in it: link heartbeats, messages, entries in them.
    counts: (usize, usize, usize),
    /// Bytes of an item that the capture cut off.
    cut_len: usize,
}

macro_rules! golden {
    ($($part:literal),*) => {
        include_bytes!(concat!("../../../../interop/golden/rafthttp/", $($part),*))
    };
}

macro_rules! stream {
    ($name:literal, $writer:ident, $counts:tt, $cut_len:literal) => {
        Stream {
            name: $name,
            request: golden!($name, ".request.bin"),
            response: golden!($name, ".response.bin"),
            writer: $writer,
            counts: $counts,
            cut_len: $cut_len,
        }
    };
}

const MESSAGE_STREAMS: [Stream; 8] = [
    stream!("etcd-3.4.23/message-stream-served-by-node1", Go, (12, 276, 3), 0),
    stream!("etcd-3.4.23/message-stream-served-by-node2", Go, (9, 153, 1), 0),
    stream!("etcd-3.4.23/message-stream-served-by-node3", Sparse, (11, 318, 2), 0),
    stream!("etcd-3.5.1/message-stream-served-by-node1", Go, (14, 308, 3), 0),
    stream!("etcd-3.5.1/message-stream-served-by-node2", Go, (10, 176, 1), 0),
    stream!("etcd-3.5.1/message-stream-served-by-node3", Sparse, (13, 353, 2), 0),
    stream!("raftexample-3.4.23/message-stream-read-by-go2-from-go1", Go, (25, 406, 0), 0),
    stream!("raftexample-3.4.23/message-stream-read-by-rust-from-go1", Go, (28, 469, 0), 0),
];

const MSGAPP_STREAMS: [Stream; 10] = [
    stream!("etcd-3.4.23/msgapp-stream-served-by-node1", Go, (12, 113, 64), 0),
    stream!("etcd-3.4.23/msgapp-stream-served-by-node2", Go, (9, 0, 0), 0),
    stream!("etcd-3.4.23/msgapp-stream-served-by-node3", Sparse, (11, 66, 32), 0),
    stream!("etcd-3.5.1/msgapp-stream-served-by-node1", Go, (14, 114, 64), 0),
    stream!("etcd-3.5.1/msgapp-stream-served-by-node2", Go, (10, 0, 0), 0),
    stream!("etcd-3.5.1/msgapp-stream-served-by-node3", Sparse, (13, 64, 32), 0),
    stream!("raftexample-3.4.23/msgapp-stream-read-by-go2-from-go1-leader", Go, (25, 6, 3), 0),
    stream!("raftexample-3.4.23/msgapp-stream-read-by-rust-from-go1-leader", Go, (28, 8, 4), 0),
    stream!("raftexample-3.4.23/msgapp-stream-served-by-rust-0028", Sparse, (7, 110, 55), 13),
    stream!("raftexample-3.4.23/msgapp-stream-served-by-rust-0035", Sparse, (0, 0, 0), 5858),
];

/// Requests to `/raft` of one connection each, who wrote them, and how many.
const POSTS: [(&[u8], Writer, usize); 8] = [
    (golden!("etcd-3.4.23/pipeline-rust-to-etcd.request.bin"), Sparse, 1),
    (golden!("etcd-3.5.1/pipeline-rust-to-etcd.request.bin"), Sparse, 1),
    (golden!("etcd-3.5.1/pipeline-etcd-to-rust.request.bin"), Go, 1),
    (golden!("raftexample-3.4.23/pipeline-go2-to-go1.request.bin"), Go, 4),
    (golden!("raftexample-3.4.23/pipeline-go-to-rust.request.bin"), Go, 52),
    (golden!("raftexample-3.4.23/pipeline-rust-to-go.request.bin"), Sparse, 1),
    (golden!("raftexample-3.4.23/msgsnap-pipeline-go-to-rust.request.bin"), Go, 1),
    (golden!("raftexample-3.4.23/msgsnap-pipeline-rust-to-go.request.bin"), Sparse, 1),
];

impl Stream {
    /// The pieces in which the body came, cut further to so many bytes.
    fn pieces(&self, len_max: usize) -> impl Iterator<Item = &'static [u8]> {
        let chunks = Captured::parse(self.response).chunks();
        chunks.into_iter().flat_map(move |chunk| chunk.chunks(len_max))
    }

    /// Who writes and who reads it, by the request.
    fn ends(&self) -> StreamEnds {
        let request = Captured::parse(self.request);
        let path = request.head.split(' ').nth(1).expect("a request has a path");
        let reader = path.rsplit('/').next().expect("a path has an end");
        let writer = request.header("x-raft-to").expect("a dialer says whom it calls");
        let [from, to] = [writer, reader].map(|id| u64::from_str_radix(id, 16).expect("an id is in hex"));
        StreamEnds { from, to }
    }

    /// All that is in it, with what the decoder has left of a last item that was cut off.
    fn decode_messages(&self, len_max: usize) -> (Vec<StreamEvent>, usize) {
        let mut decoder = MessageDecoder::new(LIMITS);
        let mut events = Vec::new();
        for mut piece in self.pieces(len_max) {
            while let Some(event) = decoder.decode(&mut piece).expect(self.name) {
                events.push(event);
            }
            assert!(piece.is_empty(), "{}", self.name);
        }
        assert_eq!(decoder.is_idle(), self.cut_len == 0, "{}", self.name);
        (events, decoder.buffered_len())
    }

    fn decode_appends(&self, len_max: usize) -> (Vec<StreamEvent>, usize) {
        let mut decoder = MsgAppDecoder::new(self.ends(), LIMITS);
        let mut events = Vec::new();
        for mut piece in self.pieces(len_max) {
            while let Some(event) = decoder.decode(&mut piece).expect(self.name) {
                events.push(event);
            }
            assert!(piece.is_empty(), "{}", self.name);
        }
        assert_eq!(decoder.is_idle(), self.cut_len == 0, "{}", self.name);
        (events, decoder.buffered_len())
    }

    /// The bytes of all whole items.
    fn whole_items(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.pieces(usize::MAX).flatten().copied().collect();
        bytes.truncate(bytes.len() - self.cut_len);
        bytes
    }

    fn check_counts(&self, events: &[StreamEvent]) {
        let messages = events.iter().filter_map(|event| match event {
            StreamEvent::Message(message) => Some(message),
            _ => None,
        });
        let entries = messages.clone().map(|message| message.entries.len()).sum();
        let messages = messages.count();
        assert_eq!((events.len() - messages, messages, entries), self.counts, "{}", self.name);
    }
}

fn message(event: StreamEvent) -> Message {
    match event {
        StreamEvent::LinkHeartbeat => Message::link_heartbeat(),
        StreamEvent::Message(message) => message,
    }
}

/// What nodes said to each other in all captures but that of a database.
pub(crate) fn every_captured_message() -> Vec<Message> {
    let events = MESSAGE_STREAMS.iter().map(|stream| stream.decode_messages(usize::MAX).0);
    let appends = MSGAPP_STREAMS.iter().map(|stream| stream.decode_appends(usize::MAX).0);
    let streamed = events.chain(appends).flatten().filter_map(|event| match event {
        StreamEvent::LinkHeartbeat => None,
        StreamEvent::Message(message) => Some(message),
    });
    let bodies = POSTS.iter().flat_map(|(bytes, ..)| bodies(bytes));
    streamed.chain(bodies.map(|body| raftpb::decode(body, &LIMITS).expect("a message"))).collect()
}

#[test]
fn every_message_stream_decodes_whole_however_it_is_cut() {
    for stream in MESSAGE_STREAMS {
        let (events, left) = stream.decode_messages(usize::MAX);
        stream.check_counts(&events);
        for len_max in [1, 7, 13] {
            assert_eq!(stream.decode_messages(len_max), (events.clone(), left), "{}", stream.name);
        }
    }
}

#[test]
fn every_message_of_a_stream_is_between_its_ends() {
    for stream in MESSAGE_STREAMS {
        let StreamEnds { from, to } = stream.ends();
        for event in stream.decode_messages(usize::MAX).0 {
            if let StreamEvent::Message(message) = event {
                assert_eq!((message.from, message.to), (from, to), "{}", stream.name);
                assert!(!message.msg_type().expect("a known type").is_local(), "{}", stream.name);
            }
        }
    }
}

#[test]
fn every_message_stream_is_written_again_and_what_go_wrote_to_the_same_bytes() {
    for stream in MESSAGE_STREAMS {
        let (events, _) = stream.decode_messages(usize::MAX);
        let mut out = BytesMut::new();
        for event in events.clone() {
            encode_message(&message(event), &LIMITS, &mut out).expect("it is within the limits");
        }
        assert_eq!(out == stream.whole_items(), stream.writer == Go, "{}", stream.name);
        let mut decoder = MessageDecoder::new(LIMITS);
        let mut input = &out[..];
        for event in events {
            assert_eq!(decoder.decode(&mut input), Ok(Some(event)), "{}", stream.name);
        }
        assert!(input.is_empty());
    }
}

#[test]
fn every_msgapp_stream_decodes_whole_however_it_is_cut() {
    for stream in MSGAPP_STREAMS {
        let (events, left) = stream.decode_appends(usize::MAX);
        stream.check_counts(&events);
        for len_max in [1, 7, 13] {
            assert_eq!(stream.decode_appends(len_max), (events.clone(), left), "{}", stream.name);
        }
    }
}

#[test]
fn every_append_goes_on_where_entries_are_and_is_between_the_ends_of_its_stream() {
    for stream in MSGAPP_STREAMS {
        let StreamEnds { from, to } = stream.ends();
        for event in stream.decode_appends(usize::MAX).0 {
            let StreamEvent::Message(message) = event else { continue };
            assert_eq!(message.msg_type(), Ok(MessageType::App), "{}", stream.name);
            assert_eq!((message.from, message.to), (from, to), "{}", stream.name);
            for (entry, index) in message.entries.iter().zip(message.index + 1..) {
                assert_eq!(entry.index, index, "{}", stream.name);
                assert!(entry.entry_type().is_ok(), "{}", stream.name);
            }
        }
    }
}

#[test]
fn every_msgapp_stream_is_written_again_and_what_go_wrote_to_the_same_bytes() {
    for stream in MSGAPP_STREAMS {
        let (events, _) = stream.decode_appends(usize::MAX);
        let mut out = BytesMut::new();
        let mut encoder = MsgAppEncoder::new(stream.ends(), LIMITS);
        for event in events.clone() {
            encoder.encode(&message(event), &mut out).expect("it is within the limits");
        }
        let is_same = out == stream.whole_items();
        // A stream of link heartbeats alone is the same in every dialect.
        let is_bare = stream.counts.1 == 0;
        assert_eq!(is_same, stream.writer == Go || is_bare, "{}", stream.name);
        let mut decoder = MsgAppDecoder::new(stream.ends(), LIMITS);
        let mut input = &out[..];
        for event in events {
            assert_eq!(decoder.decode(&mut input), Ok(Some(event)), "{}", stream.name);
        }
        assert!(input.is_empty());
    }
}

#[test]
fn every_posted_message_decodes_and_is_written_again_and_what_go_wrote_to_the_same_bytes() {
    for (at, (bytes, writer, count)) in POSTS.into_iter().enumerate() {
        let bodies = bodies(bytes);
        assert_eq!(bodies.len(), count, "{at}");
        for body in bodies {
            let message: Message = raftpb::decode(body, &LIMITS).expect("a message");
            let mut out = BytesMut::new();
            raftpb::encode(&message, &mut out);
            assert_eq!(out == body, writer == Go, "{at}: {message:?}");
            assert_eq!(raftpb::decode(&out, &LIMITS), Ok(message));
        }
    }
}

#[test]
fn snapshot_of_a_database_gives_its_message_and_then_the_database() {
    let bytes = golden!("etcd-3.5.1/snapshot-post-etcd-to-rust.first12000.bin");
    let chunks = Captured::parse(bytes).chunks();
    let body: Vec<u8> = chunks.concat();
    for piece_len in [body.len(), 4096, 8668, 1, 7] {
        let mut decoder = SnapshotDecoder::new(LIMITS);
        let (mut head, mut database) = (None, Vec::new());
        for mut piece in body.chunks(piece_len) {
            while let Some(event) = decoder.decode(&mut piece).expect("a snapshot") {
                match event {
                    SnapshotEvent::Head(message) => assert_eq!(head.replace(message), None),
                    SnapshotEvent::Body(bytes) => database.extend_from_slice(bytes),
                }
            }
        }
        let head = head.expect("a message came");
        let metadata = &head.snapshot.metadata;
        assert_eq!((metadata.index, head.snapshot.data.len()), (7007, 8575));
        assert_eq!(metadata.conf_state.voters, [6_705_693_684_509_158_197, 10_991_440_720_325_584_537]);
        assert_eq!(database.get(16..20), Some([0xED, 0xDA, 0x0C, 0xED].as_slice()), "the mark of bbolt");
        assert_eq!(decoder.handle_end(), Ok(database.len() as u64));

        let mut out = BytesMut::new();
        encode_snapshot_head(&head, &LIMITS, &mut out).expect("it is within the limits");
        assert_eq!((&out[..], out.len()), (&body[..8668], 8668));
    }
}

#[test]
fn configuration_changes_in_captured_entries_are_read_and_written_the_same() {
    let mut changes = 0;
    for stream in MSGAPP_STREAMS {
        for event in stream.decode_appends(usize::MAX).0 {
            let StreamEvent::Message(message) = event else { continue };
            for entry in message.entries {
                if entry.entry_type() == Ok(EntryType::ConfChange) {
                    let change: raftpb::ConfChange = raftpb::decode(&entry.data, &LIMITS).expect("a change");
                    let mut out = BytesMut::new();
                    raftpb::encode(&change, &mut out);
                    assert_eq!(out, entry.data, "{change:?}");
                    changes += 1;
                }
            }
        }
    }
    assert!(changes > 0);
}
