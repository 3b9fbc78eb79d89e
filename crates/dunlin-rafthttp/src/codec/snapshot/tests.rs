//! Tests of the snapshot's body: its message, its limits, and its end.

use super::*;

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 100, snapshot_message_len_max: 40, entries_max: 3, members_max: 2 };

fn snapshot() -> Message {
    Message { msg_type: MessageType::Snap.into(), from: 1, to: 2, term: 3, ..Message::default() }
}

fn head(message: &Message) -> Result<BytesMut, EncodeError> {
    let mut out = BytesMut::new();
    encode_snapshot_head(message, &LIMITS, &mut out).map(|()| out)
}

fn refused(bytes: &[u8]) -> SnapshotError {
    SnapshotDecoder::new(LIMITS).decode(&mut { bytes }).expect_err("it is refused")
}

#[test]
fn database_is_passed_on_where_it_lies() {
    let mut body = head(&snapshot()).expect("it is short");
    let head_len = body.len();
    body.extend_from_slice(b"database");
    let mut decoder = SnapshotDecoder::new(LIMITS);
    let mut input = &body[..];
    assert_eq!(decoder.decode(&mut input), Ok(Some(SnapshotEvent::Head(snapshot()))));
    assert_eq!(decoder.handle_end(), Ok(0), "a database may be empty");
    let Ok(Some(SnapshotEvent::Body(bytes))) = decoder.decode(&mut input) else { panic!("the database") };
    assert_eq!(bytes.as_ptr(), body[head_len..].as_ptr());
    assert_eq!(decoder.decode(&mut input), Ok(None));
    let mut input: &[u8] = b" goes on";
    assert_eq!(decoder.decode(&mut input), Ok(Some(SnapshotEvent::Body(b" goes on"))));
    assert_eq!((decoder.decode(&mut input), decoder.handle_end()), (Ok(None), Ok(16)));
    assert_eq!(decoder.buffered_len(), 0);
}

#[test]
fn end_within_the_message_is_an_error_wherever_it_is() {
    let body = head(&snapshot()).expect("it is short");
    for end in 0..body.len() {
        let mut decoder = SnapshotDecoder::new(LIMITS);
        assert_eq!(decoder.decode(&mut &body[..end]), Ok(None));
        let received_len = if end < 8 { end } else { end - 8 };
        assert_eq!(decoder.handle_end(), Err(SnapshotError::MessageCutShort { received_len }));
    }
}

#[test]
fn length_over_the_limit_is_an_error_before_anything_is_kept_for_it() {
    let expected = SnapshotError::MessageTooLong { message_len: 41, message_len_max: 40 };
    assert_eq!(refused(&[0, 0, 0, 0, 0, 0, 0, 41]), expected);
    let expected = SnapshotError::MessageTooLong { message_len: u64::MAX, message_len_max: 40 };
    assert_eq!(refused(&[0xFF; 8]), expected);
    let longest = SnapshotDecoder::new(LIMITS).decode(&mut [0, 0, 0, 0, 0, 0, 0, 40].as_slice());
    assert_eq!(longest, Ok(None));
}

#[test]
fn limit_of_every_message_goes_for_a_snapshot_too() {
    let limits = RaftLimits { message_len_max: 30, ..LIMITS };
    let error = SnapshotDecoder::new(limits).decode(&mut [0, 0, 0, 0, 0, 0, 0, 31].as_slice());
    assert_eq!(error, Err(SnapshotError::MessageTooLong { message_len: 31, message_len_max: 30 }));
}

#[test]
fn message_of_another_type_is_refused_on_both_sides() {
    assert_eq!(refused(&[0; 8]), SnapshotError::NotSnapshot { msg_type: 0 });
    assert_eq!(refused(&[0, 0, 0, 0, 0, 0, 0, 2, 8, 3]), SnapshotError::NotSnapshot { msg_type: 3 });
    let mut decoder = SnapshotDecoder::new(LIMITS);
    assert!(decoder.decode(&mut [0; 8].as_slice()).is_err());
    assert!(decoder.handle_end().is_err(), "what was refused has no good end");
    let append = Message { msg_type: MessageType::App.into(), ..Message::default() };
    assert_eq!(head(&append), Err(EncodeError::NotSnapshot { msg_type: 3 }));
}

#[test]
fn message_that_is_none_is_an_error_with_its_reason() {
    let error = refused(&[0, 0, 0, 0, 0, 0, 0, 1, 8]);
    assert!(matches!(error, SnapshotError::Message { source: DecodeError::Malformed { .. } }));
}

#[test]
fn message_over_the_limit_is_not_sent() {
    let message = Message { context: vec![0; 20].into(), ..snapshot() };
    let expected = EncodeError::MessageTooLong { message_len: 52, message_len_max: 40 };
    assert_eq!(head(&message), Err(expected));
}

#[test]
fn database_that_is_not_as_long_as_announced_is_told() {
    let mut body = SnapshotBody::new(5);
    assert_eq!(body.handle_bytes(b"abc"), Ok(()));
    assert_eq!(body.handle_end(), Err(SnapshotBodyError::TooShort { body_len: 5, missing_len: 2 }));
    assert_eq!(body.handle_bytes(b"abc"), Err(SnapshotBodyError::TooLong { body_len: 5 }));
    assert_eq!(body.handle_bytes(b"de"), Ok(()));
    assert_eq!(body.handle_end(), Ok(()));
    assert_eq!(body.handle_bytes(b"f"), Err(SnapshotBodyError::TooLong { body_len: 5 }));
}
