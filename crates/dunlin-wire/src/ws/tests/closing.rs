//! Close frames and the close handshake.

use super::*;

fn close_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Close, true, payload)
}

fn close_heard(code: u16, reason: &str) -> Vec<Heard> {
    vec![Heard::Close(Some(CloseFrame { code, reason: reason.to_owned() }))]
}

#[test]
fn close_is_heard_without_code_with_code_and_with_reason() {
    assert_eq!(hear(&close_frame(b"")), Ok(vec![Heard::Close(None)]));
    assert_eq!(hear(&close_frame(b"\x03\xe8")), Ok(close_heard(1000, "")));
    assert_eq!(hear(&close_frame(b"\x03\xe8bye")), Ok(close_heard(1000, "bye")));
}

#[test]
fn close_payload_of_one_byte_is_refused() {
    assert_eq!(hear(&close_frame(b"\x03")), Err(WsError::CloseLengthOne));
}

#[test]
fn close_codes_are_heard_or_refused_as_rfc_6455_lists_them() {
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        assert_eq!(hear(&close_frame(&u16::to_be_bytes(code))), Ok(close_heard(code, "")));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(hear(&close_frame(&u16::to_be_bytes(code))), Err(WsError::CloseCodeInvalid { code }));
    }
}

#[test]
fn close_reason_must_be_utf8() {
    let error = hear(&close_frame(b"\x03\xe8\xce\xba\xed\xa0\x80")).unwrap_err();
    assert_eq!(error, WsError::CloseReasonNotUtf8);
    assert_eq!(error.close_code(), code::INVALID_PAYLOAD);
}

#[test]
fn nothing_is_heard_after_a_close() {
    let bytes = [close_frame(b""), frame(Opcode::Ping, true, b"x"), frame(Opcode::Text, true, b"\xff")];
    assert_eq!(hear(&bytes.concat()), Ok(vec![Heard::Close(None)]));
}

#[test]
fn close_inside_a_message_ends_it() {
    let mut listener = Listener::new(Role::Server);
    listener.feed(&frame(Opcode::Binary, false, b"a")).unwrap();
    listener.feed(&close_frame(b"\x03\xe9")).unwrap();
    listener.feed(&frame(Opcode::Continuation, true, b"b")).unwrap();
    assert_eq!(listener.heard, close_heard(1001, ""));
    assert!(listener.decoder.is_idle());
}

#[test]
fn encoded_close_is_heard_and_its_reason_cut_at_a_character() {
    let mut bytes = Vec::new();
    encode_close(&mut bytes, 4321, &"é".repeat(100), Some(KEY));
    assert_eq!(hear(&bytes), Ok(close_heard(4321, &"é".repeat(61))));
    let mut bytes = Vec::new();
    encode_close(&mut bytes, 1000, &"x".repeat(123), Some(KEY));
    assert_eq!(hear(&bytes), Ok(close_heard(1000, &"x".repeat(123))));
}

#[test]
fn code_that_must_not_travel_is_encoded_as_none() {
    for code in [0, 1004, code::NONE, code::ABNORMAL, 1015, 5000] {
        let mut bytes = Vec::new();
        encode_close(&mut bytes, code, "why", None);
        assert_eq!(bytes, [0x88, 0]);
    }
}

#[test]
fn their_close_is_answered_once_with_their_code() {
    let mut state = CloseState::Open;
    assert!(state.may_send());
    let frame = CloseFrame { code: 4000, reason: String::new() };
    assert_eq!(state.receive(Some(&frame)), CloseStep::Answer { code: 4000 });
    assert!(state.is_finished() && !state.may_send() && !state.send());
    assert_eq!(state.receive(Some(&frame)), CloseStep::Finished);
}

#[test]
fn our_close_is_sent_once_and_finished_by_theirs() {
    let mut state = CloseState::Open;
    assert!(state.send());
    assert!(!state.send() && !state.may_send() && !state.is_finished());
    assert_eq!(state.receive(None), CloseStep::Finished);
    assert!(state.is_finished());
}

#[test]
fn every_error_closes_with_a_code_that_may_travel() {
    let errors = [
        WsError::ReservedBits { bits: 1 },
        WsError::TextNotUtf8,
        WsError::CloseReasonNotUtf8,
        WsError::TooManyFragments { fragments_max: 1 },
        WsError::MessageTooLong { message_len: 2, message_len_max: 1 },
    ];
    for error in errors {
        assert!(is_sendable_code(error.close_code()), "{error}");
    }
}
