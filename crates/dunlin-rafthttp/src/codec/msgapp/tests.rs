//! Tests of the msgapp stream: its place, its limits, and what the short form must not lose.

use bytes::BytesMut;

use super::*;
use crate::codec::{EncodeError, StreamEvent};
use crate::limits::RaftLimits;
use crate::raftpb::Entry;

const ENDS: StreamEnds = StreamEnds { from: 1, to: 2 };
const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 100, snapshot_message_len_max: 64, entries_max: 3, members_max: 2 };

/// The number as the stream writes it.
fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn append(term: u64, index: u64, entries: u64) -> Message {
    let entry = |index| Entry { term, index, ..Entry::default() };
    Message {
        entries: (1..=entries).map(|more| entry(index.wrapping_add(more))).collect(),
        ..Place { term, index }.message(ENDS, 0)
    }
}

fn encode(encoder: &mut MsgAppEncoder, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    encoder.encode(message, &mut out).expect("it is within the limits");
    out.to_vec()
}

/// The first bytes of the items that these messages become on one stream.
fn first_bytes(messages: &[Message]) -> Vec<u8> {
    let mut encoder = MsgAppEncoder::new(ENDS, LIMITS);
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    let mut first_bytes = Vec::new();
    for message in messages {
        let bytes = encode(&mut encoder, message);
        assert_eq!(
            decoder.decode(&mut bytes.as_slice()),
            Ok(Some(message.clone().into())),
            "nothing is lost"
        );
        assert_eq!(decoder.place, encoder.place, "the ends agree");
        first_bytes.extend(bytes.first());
    }
    first_bytes
}

fn refused(pieces: &[&[u8]]) -> MsgAppError {
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    decoder.decode(&mut pieces.concat().as_slice()).expect_err("it is refused")
}

#[test]
fn append_that_goes_on_is_short_and_any_other_is_whole() {
    let place = first_bytes(&[append(5, 7, 2), append(5, 9, 1), append(5, 10, 0), append(5, 10, 1)]);
    assert_eq!(place, [2, 1, 1, 1]);
    assert_eq!(first_bytes(&[append(5, 7, 1), append(5, 9, 1)]), [2, 2], "a gap");
    assert_eq!(first_bytes(&[append(5, 7, 1), append(5, 7, 1)]), [2, 2], "the same again");
    assert_eq!(first_bytes(&[append(5, 7, 1), append(6, 8, 1)]), [2, 2], "a new term");
    let old_log = Message { log_term: 4, ..append(5, 8, 1) };
    assert_eq!(first_bytes(&[append(5, 7, 1), old_log, append(5, 9, 1)]), [2, 2, 1], "an older log");
    let heartbeat = Message::link_heartbeat();
    assert_eq!(first_bytes(&[append(5, 7, 1), heartbeat, append(5, 8, 1)]), [2, 0, 1], "a link heartbeat");
}

#[test]
fn append_at_the_very_beginning_is_short_on_a_fresh_connection() {
    assert_eq!(first_bytes(&[append(0, 0, 1), append(0, 1, 0)]), [1, 1]);
}

#[test]
fn append_that_the_short_form_would_cut_is_whole_and_the_place_goes_on() {
    let next = append(5, 7, 1);
    for more in [
        Message { context: vec![1].into(), ..next.clone() },
        Message { reject: true, ..next.clone() },
        Message { reject_hint: 1, ..next.clone() },
        Message { from: 9, ..next.clone() },
        Message { to: 9, ..next.clone() },
        Message { snapshot: crate::raftpb::Snapshot { data: vec![1].into(), ..Default::default() }, ..next },
    ] {
        assert_eq!(first_bytes(&[append(5, 6, 1), more, append(5, 8, 1)]), [2, 2, 1]);
    }
}

#[test]
fn place_never_goes_over_the_last_index() {
    let last = append(5, u64::MAX - 1, 1);
    assert_eq!(first_bytes(&[append(5, u64::MAX - 2, 1), last.clone(), append(5, u64::MAX, 0)]), [2, 1, 1]);
    let over = Message { entries: vec![Entry::default()], ..append(5, u64::MAX, 0) };
    assert_eq!(first_bytes(&[last, over]), [2, 2]);

    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    let bytes = encode(&mut MsgAppEncoder::new(ENDS, LIMITS), &append(5, u64::MAX - 1, 0));
    decoder.decode(&mut bytes.as_slice()).expect("an append");
    let over = [&[APPEND], number(2).as_slice()].concat();
    let expected = MsgAppError::IndexOverflow { index: u64::MAX - 1, entries: 2 };
    assert_eq!(decoder.decode(&mut over.as_slice()), Err(expected));
}

#[test]
fn whole_message_of_another_type_is_passed_on_and_moves_the_place() {
    let message = Message { msg_type: 99, term: 3, index: 8, ..Message::default() };
    let mut out = BytesMut::new();
    out.extend_from_slice(&[MESSAGE]);
    crate::encode_message(&message, &LIMITS, &mut out).expect("it is short");
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    assert_eq!(decoder.decode(&mut &out[..]), Ok(Some(StreamEvent::Message(message))));
    assert_eq!(decoder.place, Place { term: 3, index: 8 });
}

#[test]
fn what_kills_a_go_process_is_an_error_here() {
    let endless = number(i64::MAX.unsigned_abs());
    let entries = i64::MAX.unsigned_abs();
    let expected = MsgAppError::TooManyEntries { entries, entries_max: 3 };
    assert_eq!(refused(&[&[APPEND], &endless]), expected);
    let expected = MsgAppError::MessageTooLong { message_len: entries, message_len_max: 100 };
    assert_eq!(refused(&[&[MESSAGE], &endless]), expected);
    let expected = MsgAppError::EntriesTooLong { entries_len: u64::MAX, entries_len_max: 100 };
    assert_eq!(refused(&[&[APPEND], &number(1), &[0xFF; 8]]), expected);
    let error = refused(&[&[MESSAGE], &number(5), &[0xFF; 5]]);
    assert!(matches!(error, MsgAppError::Message { source: DecodeError::Malformed { .. } }));
    let error = refused(&[&[APPEND], &number(2), &number(0), &number(5), &[0xFF; 5]]);
    assert!(matches!(error, MsgAppError::Entry { position: 1, source: DecodeError::Malformed { .. } }));
}

#[test]
fn unknown_first_byte_is_an_error() {
    for first_byte in [3, 0x80, 0xFF] {
        assert_eq!(refused(&[&[first_byte]]), MsgAppError::UnknownItem { first_byte });
    }
}

#[test]
fn entries_of_one_append_are_limited_together() {
    let entry = [0x22, 58].iter().copied().chain([0; 58]).collect::<Vec<u8>>();
    let expected = MsgAppError::EntriesTooLong { entries_len: 101, entries_len_max: 100 };
    assert_eq!(refused(&[&[APPEND], &number(3), &number(60), &entry, &number(41)]), expected);
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    let short = [&[APPEND], &number(3)[..], &number(60), &entry, &number(40)].concat();
    assert_eq!(decoder.decode(&mut short.as_slice()), Ok(None));
}

#[test]
fn whole_message_of_the_longest_length_is_taken_and_one_byte_more_is_not() {
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    assert_eq!(decoder.decode(&mut [&[MESSAGE], number(100).as_slice()].concat().as_slice()), Ok(None));
    let expected = MsgAppError::MessageTooLong { message_len: 101, message_len_max: 100 };
    assert_eq!(refused(&[&[MESSAGE], &number(101)]), expected);
}

#[test]
fn refused_message_leaves_output_and_place_as_they_were() {
    let mut encoder = MsgAppEncoder::new(ENDS, LIMITS);
    encode(&mut encoder, &append(5, 7, 1));
    let long = |index| Message {
        entries: vec![Entry { data: vec![0; 100].into(), ..Entry::default() }],
        ..append(5, index, 0)
    };
    for (message, expected) in [
        (long(8), EncodeError::MessageTooLong { message_len: 108, message_len_max: 100 }),
        (long(1), EncodeError::MessageTooLong { message_len: 140, message_len_max: 100 }),
        (append(5, 8, 4), EncodeError::TooManyEntries { entries: 4, entries_max: 3 }),
        (
            Message { msg_type: MessageType::Snap.into(), ..append(5, 8, 0) },
            EncodeError::NotAppend { msg_type: 7 },
        ),
    ] {
        let mut out = BytesMut::from(&b"before"[..]);
        assert_eq!(encoder.encode(&message, &mut out), Err(expected));
        assert_eq!(out, b"before"[..]);
    }
    assert_eq!(encode(&mut encoder, &append(5, 8, 0)).first(), Some(&APPEND));
}
