//! Tests of the message stream: lengths, limits, and what is kept.

use super::*;
use crate::raftpb::{Entry, MessageType};

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 64, snapshot_message_len_max: 64, entries_max: 2, members_max: 2 };

fn decode(bytes: &[u8]) -> Result<Option<StreamEvent>, MessageStreamError> {
    MessageDecoder::new(LIMITS).decode(&mut { bytes })
}

#[test]
fn length_over_the_limit_is_an_error_before_anything_is_kept_for_it() {
    for (message_len, digits) in [(65, [0, 0, 0, 0, 0, 0, 0, 65]), (u64::MAX, [0xFF; 8])] {
        let expected = MessageStreamError::MessageTooLong { message_len, message_len_max: 64 };
        assert_eq!(decode(&digits), Err(expected));
    }
    assert_eq!(decode(&[0, 0, 0, 0, 0, 0, 0, 64]), Ok(None));
}

#[test]
fn empty_message_needs_no_byte_after_its_length() {
    assert_eq!(decode(&[0; 8]), Ok(Some(StreamEvent::Message(Message::default()))));
}

#[test]
fn message_that_is_none_is_an_error_with_its_reason() {
    let error = decode(&[0, 0, 0, 0, 0, 0, 0, 1, 0x08]).expect_err("it is cut short");
    let MessageStreamError::Message { source } = error else { panic!("the message, not {error}") };
    assert!(matches!(source, DecodeError::Malformed { .. }));

    let error = decode(&[0, 0, 0, 0, 0, 0, 0, 6, 0x3A, 0, 0x3A, 0, 0x3A, 0]);
    let source = DecodeError::TooManyEntries { entries_max: 2 };
    assert_eq!(error, Err(MessageStreamError::Message { source }));
}

#[test]
fn whole_messages_are_never_kept_and_beginnings_are() {
    let mut decoder = MessageDecoder::new(LIMITS);
    let mut input: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 2, 0x08, 0x08, 0, 0, 0];
    assert_eq!(decoder.decode(&mut input), Ok(Some(StreamEvent::LinkHeartbeat)));
    assert!(decoder.is_idle());
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!((input.len(), decoder.buffered_len(), decoder.is_idle()), (0, 3, false));
    let mut input: &[u8] = &[0, 0, 0, 0, 2];
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!((decoder.buffered_len(), decoder.is_idle()), (0, false), "a length is known and no byte held");
    let mut input: &[u8] = &[0x08, 0x08];
    assert_eq!(decoder.decode(&mut input), Ok(Some(StreamEvent::LinkHeartbeat)));
    assert!(decoder.is_idle());
}

#[test]
fn heartbeat_from_a_leader_is_not_the_links() {
    let heartbeat = Message { msg_type: MessageType::Heartbeat.into(), from: 1, ..Message::default() };
    let mut out = BytesMut::new();
    encode_message(&heartbeat, &LIMITS, &mut out).expect("it is short");
    assert_eq!(decode(&out), Ok(Some(StreamEvent::Message(heartbeat))));
}

#[test]
fn message_over_a_limit_is_refused_and_nothing_is_written() {
    let message = Message { context: vec![0; 40].into(), ..Message::default() };
    let too_long = EncodeError::MessageTooLong { message_len: 30 + 42, message_len_max: 64 };
    assert_refused(&message, too_long);

    let message = Message { entries: vec![Entry::default(); 3], ..Message::default() };
    assert_refused(&message, EncodeError::TooManyEntries { entries: 3, entries_max: 2 });

    let mut message = Message::default();
    message.snapshot.metadata.conf_state.voters = vec![1, 2];
    message.snapshot.metadata.conf_state.learners_next = vec![3];
    assert_refused(&message, EncodeError::TooManyMembers { members: 3, members_max: 2 });
}

#[test]
fn message_of_the_longest_length_is_written_and_read() {
    let message = Message { context: vec![0; 32].into(), ..Message::default() };
    let mut out = BytesMut::new();
    encode_message(&message, &LIMITS, &mut out).expect("it is just short enough");
    assert_eq!((out.len(), decode(&out)), (8 + 64, Ok(Some(StreamEvent::Message(message)))));
}

fn assert_refused(message: &Message, expected: EncodeError) {
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(encode_message(message, &LIMITS, &mut out), Err(expected));
    assert_eq!(out, b"before"[..]);
}
