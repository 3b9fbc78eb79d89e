//! Framing: the examples of RFC 6455, every rule a frame can break, and the limits.

use super::*;

#[test]
fn examples_of_rfc_6455_section_5_7_are_heard() {
    let single = b"\x81\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(hear_as(Role::Client, single), Ok(vec![text("Hello")]));
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(hear(masked), Ok(vec![text("Hello")]));
    let fragmented = b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f";
    assert_eq!(hear_as(Role::Client, fragmented), Ok(vec![text("Hello")]));
    let ping = b"\x89\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(hear_as(Role::Client, ping), Ok(vec![Heard::Ping(b"Hello".to_vec())]));
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(hear(pong), Ok(vec![Heard::Pong(b"Hello".to_vec())]));
    for (header, len) in
        [(&b"\x82\x7e\x01\x00"[..], 256), (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 65_536)]
    {
        let payload = vec![7; len];
        assert_eq!(hear_as(Role::Client, &[header, &payload].concat()), Ok(vec![binary(&payload)]));
        let mut encoded = Vec::new();
        encode_binary(&mut encoded, &payload, None);
        assert_eq!(encoded, [header, &payload].concat());
    }
}

#[test]
fn frame_len_is_what_encoding_takes_at_every_length_form() {
    for payload_len in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
        for mask in [None, Some(KEY)] {
            let mut encoded = Vec::new();
            encode_binary(&mut encoded, &vec![9; payload_len], mask);
            assert_eq!(encoded.len(), frame_len(payload_len, mask.is_some()));
        }
    }
}

#[test]
fn empty_message_is_heard() {
    assert_eq!(hear(&frame(Opcode::Binary, true, b"")), Ok(vec![binary(b"")]));
    assert_eq!(hear(&frame(Opcode::Text, true, b"")), Ok(vec![text("")]));
}

#[test]
fn message_ended_by_an_empty_fragment_is_heard() {
    let bytes = [
        frame(Opcode::Binary, false, b""),
        frame(Opcode::Continuation, false, b"ab"),
        frame(Opcode::Continuation, true, b""),
    ];
    assert_eq!(hear(&bytes.concat()), Ok(vec![binary(b"ab")]));
}

#[test]
fn control_frames_are_heard_inside_a_fragmented_message() {
    let bytes = [
        frame(Opcode::Text, false, b"a"),
        frame(Opcode::Ping, true, b"p"),
        frame(Opcode::Pong, true, b""),
        frame(Opcode::Continuation, true, b"b"),
    ];
    let heard = vec![Heard::Ping(b"p".to_vec()), Heard::Pong(Vec::new()), text("ab")];
    assert_eq!(hear(&bytes.concat()), Ok(heard));
}

#[test]
fn each_reserved_bit_is_refused() {
    for bit in 0..3 {
        let bytes = [0x82 | 0x10 << bit];
        assert_eq!(hear(&bytes), Err(WsError::ReservedBits { bits: 1 << bit }));
    }
}

#[test]
fn each_unknown_opcode_is_refused_at_its_first_byte() {
    for opcode in (0x3..0x8).chain(0xb..=0xf) {
        assert_eq!(hear(&[0x80 | opcode]), Err(WsError::UnknownOpcode { opcode }));
    }
}

#[test]
fn unmasked_frame_is_refused_by_a_server_and_masked_one_by_a_client() {
    assert_eq!(hear(b"\x82\x01"), Err(WsError::Unmasked));
    assert_eq!(hear_as(Role::Client, b"\x82\x81"), Err(WsError::Masked));
}

#[test]
fn control_frame_over_125_bytes_or_in_fragments_is_refused() {
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        assert_eq!(hear(&frame(opcode, true, &[0; 126])), Err(WsError::ControlTooLong));
        assert_eq!(hear(&frame(opcode, false, b"")), Err(WsError::ControlFragmented));
    }
    let full = frame(Opcode::Ping, true, &[5; 125]);
    assert_eq!(hear(&full), Ok(vec![Heard::Ping(vec![5; 125])]));
}

#[test]
fn continuation_without_a_beginning_is_refused() {
    assert_eq!(hear(&frame(Opcode::Continuation, true, b"x")), Err(WsError::ContinuationOutsideMessage));
    let after_end = [frame(Opcode::Text, true, b"x"), frame(Opcode::Continuation, false, b"x")].concat();
    assert_eq!(hear(&after_end), Err(WsError::ContinuationOutsideMessage));
}

#[test]
fn message_begun_inside_another_is_refused() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let bytes = [frame(Opcode::Text, false, b"x"), frame(opcode, true, b"y")].concat();
        assert_eq!(hear(&bytes), Err(WsError::StartInsideMessage));
    }
}

#[test]
fn length_in_more_bytes_than_it_needs_is_refused() {
    let error = |payload_len| Err(WsError::LengthNotShortest { payload_len });
    assert_eq!(hear(b"\x82\xfe\x00\x7d"), error(125));
    assert_eq!(hear(b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"), error(65_535));
}

#[test]
fn length_of_64_bits_is_refused() {
    let bytes = b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(hear(bytes), Err(WsError::LengthOverflow { payload_len: 1 << 63 }));
}

#[test]
fn announced_length_over_the_limit_is_refused_before_any_payload() {
    let bytes = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04";
    let error = hear(bytes).unwrap_err();
    assert!(matches!(error, WsError::MessageTooLong { .. }), "{error}");
    assert_eq!(error.close_code(), code::TOO_BIG);
}

#[test]
fn message_limit_counts_all_fragments() {
    let limits = WsLimits { message_len_max: 5, ..WsLimits::DEFAULT };
    let mut listener = Listener::with_limits(Role::Server, limits);
    listener.feed(&frame(Opcode::Binary, false, b"abc")).unwrap();
    listener.feed(&frame(Opcode::Continuation, true, b"de")).unwrap();
    assert_eq!(listener.heard, [binary(b"abcde")]);
    listener.feed(&frame(Opcode::Binary, false, b"abc")).unwrap();
    let error = listener.feed(&frame(Opcode::Continuation, true, b"def"));
    assert_eq!(error, Err(WsError::MessageTooLong { message_len: 6, message_len_max: 5 }));
}

#[test]
fn whole_message_over_the_limit_is_refused_though_all_of_it_is_there() {
    let limits = WsLimits { message_len_max: 5, ..WsLimits::DEFAULT };
    for opcode in [Opcode::Binary, Opcode::Text] {
        let mut listener = Listener::with_limits(Role::Server, limits);
        listener.feed(&frame(opcode, true, b"abcde")).unwrap();
        let error = listener.feed(&frame(opcode, true, b"abcdef"));
        assert_eq!(error, Err(WsError::MessageTooLong { message_len: 6, message_len_max: 5 }));
        assert_eq!(listener.heard.len(), 1);
    }
}

#[test]
fn longest_packet_fits_the_default_message_limit() {
    let longest = crate::limits::PACKET_HEADER_LEN + crate::limits::PACKET_BODY_LEN_MAX;
    let mut listener = Listener::new(Role::Server);
    let header = frame_header(Opcode::Binary, true, longest, Some(KEY));
    assert_eq!(listener.feed(header.as_slice()), Ok(()));
    let mut listener = Listener::new(Role::Server);
    let header = frame_header(Opcode::Binary, true, longest + 1, Some(KEY));
    assert!(listener.feed(header.as_slice()).is_err());
}

#[test]
fn endless_empty_fragments_are_refused_at_the_limit() {
    let limits = WsLimits { fragments_max: 3, ..WsLimits::DEFAULT };
    let mut listener = Listener::with_limits(Role::Server, limits);
    listener.feed(&frame(Opcode::Binary, false, b"")).unwrap();
    listener.feed(&frame(Opcode::Continuation, false, b"")).unwrap();
    listener.feed(&frame(Opcode::Continuation, false, b"")).unwrap();
    let error = listener.feed(&frame(Opcode::Continuation, false, b"")).unwrap_err();
    assert_eq!(error, WsError::TooManyFragments { fragments_max: 3 });
    assert_eq!(error.close_code(), code::POLICY);
}

#[test]
fn ping_flood_is_refused_at_the_limit_and_a_message_resets_the_count() {
    let limits = WsLimits { control_frames_max: 2, ..WsLimits::DEFAULT };
    let mut listener = Listener::with_limits(Role::Server, limits);
    for _ in 0..3 {
        listener.feed(&frame(Opcode::Ping, true, b"")).unwrap();
        listener.feed(&frame(Opcode::Pong, true, b"")).unwrap();
        listener.feed(&frame(Opcode::Binary, true, b"x")).unwrap();
    }
    listener.feed(&frame(Opcode::Ping, true, b"")).unwrap();
    listener.feed(&frame(Opcode::Ping, true, b"")).unwrap();
    let error = listener.feed(&frame(Opcode::Ping, true, b"")).unwrap_err();
    assert_eq!(error, WsError::TooManyControlFrames { control_frames_max: 2 });
    assert_eq!(error.close_code(), code::POLICY);
}

#[test]
fn whole_message_allocates_no_state_and_its_end_frees_what_pieces_needed() {
    let mut listener = Listener::new(Role::Server);
    let bytes = frame(Opcode::Binary, true, b"hello");
    listener.feed(&bytes).unwrap();
    assert_eq!(format!("{:?}", listener.decoder), format!("{:?}", WsDecoder::new()));
    for cut in 1..bytes.len() {
        listener.feed(&bytes[..cut]).unwrap();
        assert!(!listener.decoder.is_idle(), "cut at {cut}");
        listener.feed(&bytes[cut..]).unwrap();
        assert_eq!(format!("{:?}", listener.decoder), format!("{:?}", WsDecoder::new()), "cut at {cut}");
    }
}

#[test]
fn payload_is_streamed_while_its_frame_is_incomplete() {
    let mut bytes = frame(Opcode::Binary, true, &[3; 1000]);
    let mut input = &mut bytes[..200];
    let mut decoder = WsDecoder::new();
    let event = decoder.decode(&mut input, Role::Server, &WsLimits::DEFAULT).unwrap();
    let Some(WsEvent::Data { bytes, is_end: false, .. }) = event else { panic!("{event:?}") };
    assert_eq!(bytes, [3; 192]);
}

#[test]
fn spent_decoder_discards_what_follows() {
    let whole_text = frame(Opcode::Text, true, b"\xff");
    for (bytes, error) in
        [(&b"\xff"[..], WsError::ReservedBits { bits: 7 }), (&whole_text, WsError::TextNotUtf8)]
    {
        let mut listener = Listener::new(Role::Server);
        assert_eq!(listener.feed(bytes), Err(error));
        assert_eq!(listener.feed(&frame(Opcode::Binary, true, b"x")), Ok(()));
        assert_eq!(listener.heard, []);
    }
}

#[test]
fn masking_twice_with_any_cut_gives_the_original() {
    let original: Vec<u8> = (0..100).collect();
    for cut in 0..original.len() {
        let mut bytes = original.clone();
        apply_mask(&mut bytes, KEY);
        let (front, back) = bytes.split_at_mut(cut);
        let key = apply_mask(front, KEY);
        apply_mask(back, key);
        assert_eq!(bytes, original);
    }
}

#[test]
fn control_payload_over_125_bytes_cannot_be_made() {
    assert_eq!(Control::new(&[1; 126]), None);
    assert_eq!(Control::new(&[1; 1000]), None);
    assert_eq!(Control::new(&[1; 125]).unwrap().as_slice(), [1; 125]);
}
