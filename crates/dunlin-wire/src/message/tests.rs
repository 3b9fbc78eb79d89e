//! Tests of single messages, chiefly broken ones.

use super::*;
use crate::limits::PACKET_BODY_LEN_MAX;

fn error_of(body: &[u8]) -> MessageError {
    decode_message(body).expect_err("a broken message")
}

#[test]
fn message_of_no_or_one_byte_is_too_short() {
    assert_eq!(error_of(&[]), MessageError::TooShort { message_len: 0 });
    for flag in 0..=255 {
        assert_eq!(error_of(&[flag]), MessageError::TooShort { message_len: 1 });
    }
}

#[test]
fn wrong_message_type_is_an_error() {
    for kind in 4..=7 {
        let expected = MessageError::UnknownKind { kind };
        assert_eq!(error_of(&[kind << 1, 1, 0]), expected);
    }
}

#[test]
fn truncated_varint_is_an_error() {
    assert_eq!(error_of(&[0, 0x80]), MessageError::IdTruncated);
    assert_eq!(error_of(&[4, 0xFF, 0xFF]), MessageError::IdTruncated);
}

#[test]
fn varint_over_64_bits_is_an_error_and_so_is_an_endless_one() {
    let mut over = vec![4];
    over.extend([0xFF; 9]);
    over.push(0x02);
    assert_eq!(error_of(&over), MessageError::IdTooLong);
    let mut endless = vec![4];
    endless.extend([0x80; 1000]);
    assert_eq!(error_of(&endless), MessageError::IdTooLong);
}

#[test]
fn varint_with_needless_bytes_is_read_up_to_ten_of_them() {
    let mut body = vec![4, 0x81];
    body.extend([0x80; 8]);
    body.push(0);
    let message = decode_message(&body).expect("ten bytes");
    let expected = MessageHead::Response { id: 1, is_error: false };
    assert_eq!((message.head, message.payload), (expected, [].as_slice()));
}

#[test]
fn response_that_ends_after_its_id_has_an_empty_payload() {
    let message = decode_message(&[4, 1]).expect("a response");
    assert!(message.payload.is_empty());
}

#[test]
fn route_past_the_end_is_an_error() {
    assert_eq!(error_of(&[0, 1]), MessageError::RouteTruncated);
    assert_eq!(error_of(&[0, 1, 3, b'a', b'b']), MessageError::RouteTruncated);
    assert_eq!(error_of(&[2, 255, b'a']), MessageError::RouteTruncated);
    assert_eq!(error_of(&[3, 1]), MessageError::RouteTruncated);
}

#[test]
fn invalid_utf8_route_is_an_error() {
    let error = error_of(&[2, 2, 0xC3, 0x28]);
    assert!(matches!(error, MessageError::RouteNotText { .. }));
}

#[test]
fn cesu8_route_is_folded() {
    let body = [2, 6, 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, b'!'];
    let message = decode_message(&body).expect("a notification");
    let expected = MessageHead::Notify { route: Route::from("😀") };
    assert_eq!((message.head, message.payload), (expected, b"!".as_slice()));
}

#[test]
fn meaningless_flag_bits_are_ignored() {
    let plain = decode_message(&[0x06, 1, b'a', 9]).expect("a push");
    for bits in [0x20, 0x40, 0x80, 0xE0] {
        assert_eq!(decode_message(&[0x06 | bits, 1, b'a', 9]).as_ref(), Ok(&plain));
    }
    let response = decode_message(&[0x05, 1, b'a']).expect("a response has no route");
    assert_eq!(response.payload, b"a");
}

#[test]
fn route_of_256_bytes_is_refused_and_nothing_is_written() {
    let fits = "r".repeat(ROUTE_LEN_MAX);
    let mut out = Vec::new();
    let head = MessageHead::Push { route: Route::from(&*fits) };
    encode_message(&head, false, b"", &mut out).expect("it fits");
    assert_eq!(decode_message(&out).expect("a push").head, head);

    let long = "r".repeat(ROUTE_LEN_MAX + 1);
    let head = MessageHead::Push { route: Route::from(&*long) };
    let mut out = vec![7];
    let error = encode_message(&head, false, b"", &mut out);
    assert_eq!(error, Err(MessageError::RouteTooLong { route_len: 256 }));
    let error = encode_data_packet(&head, false, b"", 1000, &mut out);
    assert_eq!(error, Err(EncodeError::RouteTooLong { route_len: 256 }));
    assert_eq!(out, [7]);
}

#[test]
fn message_over_24_bits_is_refused_whatever_the_limit() {
    let payload = vec![0; PACKET_BODY_LEN_MAX];
    let head = MessageHead::Response { id: 1, is_error: false };
    let mut out = vec![7];
    let error = encode_data_packet(&head, false, &payload, usize::MAX, &mut out);
    let expected =
        EncodeError::BodyTooLong { body_len: PACKET_BODY_LEN_MAX + 2, body_len_max: PACKET_BODY_LEN_MAX };
    assert_eq!((error, out), (Err(expected), vec![7]));
}
