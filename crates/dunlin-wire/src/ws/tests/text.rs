//! Text messages: valid UTF-8 in any split, and refusal at the first byte that cannot be mended.

use super::*;

const VALID: [&str; 5] =
    ["Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u{10ffff}", "😀\u{0}\u{7ff}\u{800}\u{ffff}", ""];

#[test]
fn valid_text_is_heard_in_any_two_fragments_cut_inside_characters() {
    for text_sent in VALID {
        let payload = text_sent.as_bytes();
        for cut in 0..=payload.len() {
            let bytes = [
                frame(Opcode::Text, false, &payload[..cut]),
                frame(Opcode::Ping, true, b""),
                frame(Opcode::Continuation, true, &payload[cut..]),
            ];
            assert_eq!(hear(&bytes.concat()), Ok(vec![Heard::Ping(Vec::new()), text(text_sent)]));
        }
    }
}

#[test]
fn invalid_text_is_refused_whole_in_fragments_and_bytewise() {
    let invalid: [&[u8]; 9] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xf8\x88\x80\x80\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xed\xbf\xbf",
        b"\x80",
        b"abc\xff",
        b"\xf0\x9f\x98", // Cut off at the end of the message.
    ];
    for payload in invalid {
        assert!(std::str::from_utf8(payload).is_err());
        assert_eq!(hear(&frame(Opcode::Text, true, payload)), Err(WsError::TextNotUtf8));
        for cut in 0..=payload.len() {
            let bytes = [
                frame(Opcode::Text, false, &payload[..cut]),
                frame(Opcode::Continuation, true, &payload[cut..]),
            ];
            assert_eq!(hear(&bytes.concat()), Err(WsError::TextNotUtf8), "cut at {cut}");
        }
    }
    assert_eq!(WsError::TextNotUtf8.close_code(), code::INVALID_PAYLOAD);
}

#[test]
fn invalid_text_is_refused_before_its_frame_ends() {
    // F4 90 is over the last code point, whatever follows.
    let bytes = frame(Opcode::Text, true, b"\xce\xba\xf4\x90\x80\x80edited");
    let mut listener = Listener::new(Role::Server);
    let header_len = 6;
    let results: Vec<_> = bytes.iter().map(|&byte| listener.feed(&[byte])).collect();
    let first_error = results.iter().position(Result::is_err);
    assert_eq!(first_error, Some(header_len + 3));
}

#[test]
fn binary_message_may_hold_anything() {
    assert_eq!(hear(&frame(Opcode::Binary, true, b"\xff\xfe")), Ok(vec![binary(b"\xff\xfe")]));
}

#[test]
fn every_scalar_value_is_heard_in_one_byte_fragments() {
    let step = 0x101; // A sample that meets every length and both sides of the surrogates.
    let sent: String = (0..0x11_0000).step_by(step).filter_map(char::from_u32).collect();
    let mut listener =
        Listener::with_limits(Role::Server, WsLimits { fragments_max: u32::MAX, ..WsLimits::DEFAULT });
    listener.feed(&frame(Opcode::Text, false, b"")).unwrap();
    for byte in sent.bytes() {
        listener.feed(&frame(Opcode::Continuation, false, &[byte])).unwrap();
    }
    listener.feed(&frame(Opcode::Continuation, true, b"")).unwrap();
    assert_eq!(listener.heard, [text(&sent)]);
}
