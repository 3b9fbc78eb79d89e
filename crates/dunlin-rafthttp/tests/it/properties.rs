//! What holds for all inputs: round trips, any split of a stream, limits, and no panic on arbitrary or mutated bytes.

use std::fmt::Debug;

use bytes::BytesMut;
use dunlin_rafthttp::raftpb::{
    self, ConfChange, ConfChangeSingle, ConfChangeV2, ConfState, Entry, HardState, Message, MessageType,
    Raftpb, Snapshot,
};
use dunlin_rafthttp::{
    MessageDecoder, MessageStreamError, MsgAppDecoder, MsgAppEncoder, MsgAppError, Pieces, RaftLimits,
    SnapshotDecoder, SnapshotError, SnapshotEvent, StreamEvent, encode_message, encode_snapshot_head,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::any::{ENDS, any_appends, any_message, any_number, any_payload, any_stream, mutated, written};

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 300, snapshot_message_len_max: 200, entries_max: 3, members_max: 4 };

/// Cuts the stream into pieces of the given lengths, over and over.
fn pieces<'a>(mut stream: &'a [u8], piece_lens: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for piece_len in piece_lens.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(*piece_len));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// What came before the end or the first error, which each decoder says in its own words.
type Decoded<E> = (Vec<StreamEvent>, Result<(), E>);

fn decode_messages(pieces: &[&[u8]], limits: RaftLimits) -> Decoded<MessageStreamError> {
    let mut decoder = MessageDecoder::new(limits);
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
        assert!(piece.is_empty(), "a decoder that wants more has taken all");
        assert!(decoder.buffered_len() < limits.message_len_max.max(8), "a whole message is not held");
    }
    (events, Ok(()))
}

fn decode_appends(pieces: &[&[u8]], limits: RaftLimits) -> Decoded<MsgAppError> {
    let mut decoder = MsgAppDecoder::new(ENDS, limits);
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
        assert!(piece.is_empty(), "a decoder that wants more has taken all");
        assert!(decoder.buffered_len() < limits.message_len_max.max(8), "a whole message is not held");
    }
    (events, Ok(()))
}

fn decode_snapshot(pieces: &[&[u8]]) -> (Option<Message>, Vec<u8>, Result<u64, SnapshotError>) {
    let mut decoder = SnapshotDecoder::new(LIMITS);
    let (mut head, mut body) = (None, Vec::new());
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(SnapshotEvent::Head(message))) => head = Some(message),
                Ok(Some(SnapshotEvent::Body(bytes))) => body.extend_from_slice(bytes),
                Ok(None) => break,
                Err(error) => return (head, body, Err(error)),
            }
        }
        assert!(piece.is_empty(), "a decoder that wants more has taken all");
        assert!(decoder.buffered_len() < LIMITS.snapshot_message_len_max.max(8));
    }
    (head, body, decoder.handle_end())
}

fn assert_within_limits(events: &[StreamEvent]) {
    for event in events {
        if let StreamEvent::Message(message) = event {
            assert!(message.entries.len() <= LIMITS.entries_max);
            assert!(members(&message.snapshot.metadata.conf_state) <= LIMITS.members_max);
            let payloads = message.entries.iter().map(|entry| entry.data.len());
            assert!(payloads.sum::<usize>() + message.context.len() <= LIMITS.message_len_max);
        }
    }
}

fn members(conf_state: &ConfState) -> usize {
    let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave: _ } = conf_state;
    voters.len() + learners.len() + voters_outgoing.len() + learners_next.len()
}

fn assert_reads_as_prost_does<T: Raftpb + PartialEq + Debug>(bytes: &[u8]) {
    let ours = raftpb::decode::<T>(bytes, &RaftLimits::DEFAULT);
    let theirs = T::decode(bytes);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours, theirs);
            assert_eq!(raftpb::decode(&written(&ours), &RaftLimits::DEFAULT), Ok(ours));
        }
        (Err(raftpb::DecodeError::GroupsTooDeep), _) | (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{ours:?}, but {theirs:?}"),
    }
}

proptest! {
    #[test]
    fn values_come_out_as_they_went_in(
        message in any_message(),
        change in (any_number(), any::<i32>(), any_number(), any_payload()),
        steps in vec((any::<i32>(), any_number()), 0..5),
        state in (any_number(), any_number(), any_number()),
    ) {
        let limits = RaftLimits::DEFAULT;
        prop_assert_eq!(raftpb::decode(&written(&message), &limits), Ok(message));
        let (id, change_type, node_id, context) = change;
        let steps = steps.into_iter().map(|(change_type, node_id)| ConfChangeSingle { change_type, node_id });
        let v2 = ConfChangeV2 { transition: change_type, changes: steps.collect(), context: context.clone() };
        prop_assert_eq!(raftpb::decode(&written(&v2), &limits), Ok(v2));
        let change = ConfChange { id, change_type, node_id, context };
        prop_assert_eq!(raftpb::decode(&written(&change), &limits), Ok(change));
        let (term, vote, commit) = state;
        let state = HardState { term, vote, commit };
        prop_assert_eq!(raftpb::decode(&written(&state), &limits), Ok(state));
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_the_stream_is_split(
        messages in vec(any_message(), 0..6),
        piece_lens in vec(1..90_usize, 1..8),
    ) {
        let mut stream = BytesMut::new();
        for message in &messages {
            encode_message(message, &RaftLimits::DEFAULT, &mut stream).expect("it fits");
        }
        let events: Vec<StreamEvent> = messages.into_iter().map(StreamEvent::from).collect();
        let decoded = decode_messages(&pieces(&stream, &piece_lens), RaftLimits::DEFAULT);
        prop_assert_eq!(decoded, (events, Ok(())));
    }

    #[test]
    fn appends_come_out_as_they_went_in_however_the_stream_is_split(
        messages in any_appends(),
        piece_lens in vec(1..90_usize, 1..8),
    ) {
        let mut encoder = MsgAppEncoder::new(ENDS, RaftLimits::DEFAULT);
        let mut stream = BytesMut::new();
        for message in &messages {
            encoder.encode(message, &mut stream).expect("it fits");
        }
        let events: Vec<StreamEvent> = messages.into_iter().map(StreamEvent::from).collect();
        let decoded = decode_appends(&pieces(&stream, &piece_lens), RaftLimits::DEFAULT);
        prop_assert_eq!(decoded, (events, Ok(())));
    }

    #[test]
    fn shared_data_and_copied_data_are_the_same_bytes(
        messages in any_appends(),
        lens in vec(prop_oneof![0..20_usize, 8_190..8_195_usize], 1..8),
    ) {
        let (mut copying, mut sharing) =
            (MsgAppEncoder::new(ENDS, RaftLimits::DEFAULT), MsgAppEncoder::new(ENDS, RaftLimits::DEFAULT));
        let (mut copied, mut pieces, mut shared) = (BytesMut::new(), Pieces::default(), Vec::new());
        let mut lens = lens.iter().cycle();
        for mut message in messages {
            for (entry, len) in message.entries.iter_mut().zip(&mut lens) {
                entry.data = vec![b'x'; *len].into();
            }
            copying.encode(&message, &mut copied).expect("it fits");
            sharing.encode(&message, &mut pieces).expect("it fits");
            while let Some(piece) = pieces.pop() {
                prop_assert!(!piece.is_empty());
                shared.extend_from_slice(&piece);
            }
        }
        prop_assert_eq!(&shared[..], &copied[..]);
    }

    #[test]
    fn a_snapshot_comes_out_as_it_went_in_however_the_body_is_split(
        mut message in any_message(),
        database in vec(any::<u8>(), 0..100),
        piece_lens in vec(1..90_usize, 1..8),
    ) {
        message.msg_type = MessageType::Snap.into();
        let mut stream = BytesMut::from(&b"before"[..]);
        match encode_snapshot_head(&message, &LIMITS, &mut stream) {
            Ok(()) => {
                stream.extend_from_slice(&database);
                let decoded = decode_snapshot(&pieces(&stream[6..], &piece_lens));
                let body_len = database.len() as u64;
                prop_assert_eq!(decoded, (Some(message), database, Ok(body_len)));
            }
            Err(_) => prop_assert_eq!(stream, &b"before"[..]),
        }
    }

    #[test]
    fn what_an_encoder_writes_within_limits_a_decoder_takes_within_the_same(messages in any_appends()) {
        let mut encoder = MsgAppEncoder::new(ENDS, LIMITS);
        let (mut appends, mut stream) = (BytesMut::new(), BytesMut::new());
        let (mut sent_appends, mut sent) = (Vec::new(), Vec::new());
        for message in &messages {
            let (appends_len, stream_len) = (appends.len(), stream.len());
            match encoder.encode(message, &mut appends) {
                Ok(()) => sent_appends.push(StreamEvent::from(message.clone())),
                Err(_) => prop_assert_eq!(appends.len(), appends_len),
            }
            match encode_message(message, &LIMITS, &mut stream) {
                Ok(()) => sent.push(StreamEvent::from(message.clone())),
                Err(_) => prop_assert_eq!(stream.len(), stream_len),
            }
        }
        prop_assert_eq!(decode_appends(&[&appends], LIMITS), (sent_appends, Ok(())));
        prop_assert_eq!(decode_messages(&[&stream], LIMITS), (sent, Ok(())));
    }

    #[test]
    fn every_split_of_arbitrary_bytes_gives_the_same_messages_and_error(
        stream in any_stream(),
        piece_lens in vec(1..90_usize, 1..8),
    ) {
        let (whole, split) = ([stream.as_slice()], pieces(&stream, &piece_lens));
        let messages = decode_messages(&whole, LIMITS);
        assert_within_limits(&messages.0);
        prop_assert_eq!(messages, decode_messages(&split, LIMITS));
        let appends = decode_appends(&whole, LIMITS);
        assert_within_limits(&appends.0);
        prop_assert_eq!(appends, decode_appends(&split, LIMITS));
        prop_assert_eq!(decode_snapshot(&whole), decode_snapshot(&split));
    }

    #[test]
    fn mutated_traffic_never_panics_a_decoder_with_the_limits_of_a_server(stream in mutated()) {
        drop(decode_messages(&[&stream], RaftLimits::DEFAULT));
        drop(decode_appends(&[&stream], RaftLimits::DEFAULT));
        drop(decode_snapshot(&[&stream]));
    }

    #[test]
    fn within_limits_values_are_read_as_prost_reads_them(
        bytes in prop_oneof![vec(any::<u8>(), 0..60), mutated()],
        cut in any::<Index>(),
    ) {
        let (_, bytes) = bytes.split_at(cut.index(bytes.len() + 1));
        assert_reads_as_prost_does::<Message>(bytes);
        assert_reads_as_prost_does::<Entry>(bytes);
        assert_reads_as_prost_does::<Snapshot>(bytes);
        assert_reads_as_prost_does::<ConfState>(bytes);
        assert_reads_as_prost_does::<ConfChange>(bytes);
        assert_reads_as_prost_does::<ConfChangeV2>(bytes);
        assert_reads_as_prost_does::<HardState>(bytes);
    }

    #[test]
    fn a_value_is_over_a_limit_exactly_when_it_is(message in any_message()) {
        let bytes = written(&message);
        let is_within = bytes.len() <= LIMITS.message_len_max
            && message.entries.len() <= LIMITS.entries_max
            && members(&message.snapshot.metadata.conf_state) <= LIMITS.members_max;
        prop_assert_eq!(raftpb::decode::<Message>(&bytes, &LIMITS).is_ok(), is_within);
        prop_assert_eq!(encode_message(&message, &LIMITS, &mut BytesMut::new()).is_ok(), is_within);
    }
}
