//! What holds for all inputs: round trips, any split of the stream, limits, and no panic on arbitrary bytes.

use std::borrow::Cow;

use dunlin_wire::{
    ClientConfig, ClientProtocol, HandshakeRequest, HandshakeResponse, Liveness, MessageError, MessageHead,
    Millis, PROXY_HEADER_LEN_MAX, Packet, PacketDecoder, PacketError, PacketKind, ProxyDecoder, ProxyHeader,
    Route, RouteDictionary, ServerEvent, ServerProtocol, ServerState, data_packet_len, decode_incoming,
    decode_message, deflate_if_smaller, encode_data_frame, encode_data_packet, encode_message, encode_packet,
    escape_non_bmp, fold_cesu8, inflate, parse_kick, ws,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn any_kind() -> impl Strategy<Value = PacketKind> {
    (1..=5_u8).prop_map(|kind| PacketKind::try_from(kind).expect("1 to 5 are known"))
}

fn any_packet() -> impl Strategy<Value = (PacketKind, Vec<u8>)> {
    (any_kind(), vec(any::<u8>(), 0..200))
}

fn any_route() -> impl Strategy<Value = Route<'static>> {
    prop_oneof![
        any::<u16>().prop_map(Route::Code),
        "\\PC{0,60}".prop_map(|name| Route::Name(Cow::Owned(name))),
    ]
}

fn any_head() -> impl Strategy<Value = MessageHead<'static>> {
    prop_oneof![
        (any::<u64>(), any_route()).prop_map(|(id, route)| MessageHead::Request { id, route }),
        any_route().prop_map(|route| MessageHead::Notify { route }),
        (any::<u64>(), any::<bool>()).prop_map(|(id, is_error)| MessageHead::Response { id, is_error }),
        any_route().prop_map(|route| MessageHead::Push { route }),
    ]
}

type Decoded = (Vec<(PacketKind, Vec<u8>)>, Result<(), PacketError>);

/// Feeds the stream in pieces of the given lengths, over and over, and checks on the way what is held.
fn decode_pieces(stream: &[u8], piece_lens: &[usize], body_len_max: usize) -> Decoded {
    let mut decoder = PacketDecoder::new();
    let mut packets = Vec::new();
    let mut rest = stream;
    let mut piece_lens = piece_lens.iter().cycle();
    while !rest.is_empty() {
        let piece_len = *piece_lens.next().expect("an endless iterator");
        let (mut input, tail) = rest.split_at(piece_len.min(rest.len()));
        rest = tail;
        loop {
            match decoder.decode(&mut input, body_len_max) {
                Ok(Some(packet)) => packets.push((packet.kind, packet.body.into_owned())),
                Ok(None) => break,
                Err(error) => return (packets, Err(error)),
            }
        }
        assert!(input.is_empty(), "a decoder that wants more has taken all");
        assert!(decoder.buffered_len() < 4 + body_len_max.max(1), "a whole packet is not held");
        assert_eq!(decoder.is_idle(), decoder.buffered_len() == 0);
    }
    (packets, Ok(()))
}

proptest! {
    #[test]
    fn packets_come_out_as_they_went_in_however_the_stream_is_split(
        packets in vec(any_packet(), 0..12),
        piece_lens in vec(1..40_usize, 1..8),
    ) {
        let mut stream = Vec::new();
        for (kind, body) in &packets {
            encode_packet(*kind, body, &mut stream).expect("it fits");
        }
        prop_assert_eq!(decode_pieces(&stream, &piece_lens, 200), (packets, Ok(())));
    }

    #[test]
    fn every_split_of_arbitrary_bytes_gives_the_same_packets_and_error(
        mut stream in vec(any::<u8>(), 0..300),
        repair in any::<bool>(),
        piece_lens in vec(1..20_usize, 1..8),
        body_len_max in 0..300_usize,
    ) {
        if repair && stream.len() > 3 {
            stream[0] = stream[0] % 5 + 1;
            stream[1] = 0;
            stream[2] = 0;
        }
        let whole = decode_pieces(&stream, &[stream.len().max(1)], body_len_max);
        let in_pieces = decode_pieces(&stream, &piece_lens, body_len_max);
        prop_assert_eq!(&whole, &in_pieces);
        for (_, body) in whole.0 {
            prop_assert!(body.len() <= body_len_max);
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in(
        head in any_head(),
        is_compressed in any::<bool>(),
        payload in vec(any::<u8>(), 0..100),
    ) {
        let mut body = vec![7];
        match encode_message(&head, is_compressed, &payload, &mut body) {
            Ok(()) => {
                let message = decode_message(&body[1..]).expect("what was encoded");
                prop_assert_eq!(&message.head, &head);
                prop_assert_eq!(message.is_compressed, is_compressed);
                prop_assert_eq!(message.payload, &payload[..]);
                prop_assert_eq!(data_packet_len(&head, payload.len()), body.len() - 1 + 4);
            }
            Err(_) => prop_assert_eq!(body, vec![7]),
        }
    }

    #[test]
    fn an_encoded_data_packet_is_within_the_limit_and_refused_ones_leave_no_bytes(
        head in any_head(),
        payload in vec(any::<u8>(), 0..100),
        body_len_max in 0..200_usize,
    ) {
        let mut out = vec![7];
        let is_written = encode_data_packet(&head, false, &payload, body_len_max, &mut out).is_ok();
        let packet_len = data_packet_len(&head, payload.len());
        let is_route_long = matches!(
            &head,
            MessageHead::Request { route: Route::Name(name), .. }
            | MessageHead::Notify { route: Route::Name(name) }
            | MessageHead::Push { route: Route::Name(name) } if name.len() > 255
        );
        prop_assert_eq!(is_written, packet_len - 4 <= body_len_max && !is_route_long);
        prop_assert_eq!(out.len(), if is_written { 1 + packet_len } else { 1 });
    }

    #[test]
    fn a_data_frame_is_a_data_packet_in_one_binary_message(
        head in any_head(),
        is_compressed in any::<bool>(),
        payload in prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 65_500..65_600)],
        body_len_max in 0..70_000_usize,
    ) {
        let (mut packet, mut framed) = (Vec::new(), vec![7]);
        let is_written = encode_data_packet(&head, is_compressed, &payload, body_len_max, &mut packet);
        let mut expected = vec![7];
        if is_written.is_ok() {
            ws::encode_binary(&mut expected, &packet, None);
        }
        let is_framed = encode_data_frame(&head, is_compressed, &payload, body_len_max, &mut framed);
        prop_assert_eq!((is_framed, framed), (is_written, expected));
    }

    #[test]
    fn a_server_reads_requests_and_notifies_as_everybody_does_and_takes_nothing_else(
        bytes in vec(any::<u8>(), 0..60),
        repair in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if repair && bytes.len() > 2 {
            bytes[0] &= 0x33;
            bytes[2] &= 0x1f;
        }
        let incoming = decode_incoming(&bytes);
        match decode_message(&bytes) {
            Ok(message) => match message.head {
                MessageHead::Request { id, route } => {
                    let incoming = incoming.expect("a request");
                    prop_assert_eq!(incoming.route.read(), Ok(route));
                    prop_assert_eq!(
                        (incoming.id, incoming.is_compressed, incoming.payload),
                        (Some(id), message.is_compressed, message.payload)
                    );
                }
                MessageHead::Notify { route } => {
                    let incoming = incoming.expect("a notify");
                    prop_assert_eq!(incoming.route.read(), Ok(route));
                    prop_assert_eq!(
                        (incoming.id, incoming.is_compressed, incoming.payload),
                        (None, message.is_compressed, message.payload)
                    );
                }
                MessageHead::Response { .. } | MessageHead::Push { .. } => {
                    prop_assert_eq!(incoming, Err(MessageError::FromServer));
                }
            },
            Err(error) => {
                let found = incoming.and_then(|incoming| incoming.route.read());
                prop_assert!(found == Err(error) || found == Err(MessageError::FromServer));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_a_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_message(&bytes);
        let _ = HandshakeRequest::parse(&bytes);
        let _ = HandshakeResponse::parse(&bytes);
        let _ = fold_cesu8(&bytes);
        let _ = escape_non_bmp(&bytes);
        let _ = inflate(&bytes, 1000);
        prop_assert!(parse_kick(&bytes).len() <= dunlin_wire::KICK_REASON_LEN_MAX);
    }

    #[test]
    fn a_decoded_message_encodes_to_one_that_decodes_the_same(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(message) = decode_message(&bytes) {
            let mut again = Vec::new();
            encode_message(&message.head, message.is_compressed, message.payload, &mut again)
                .expect("a decoded route fits");
            prop_assert_eq!(decode_message(&again).expect("our own"), message);
        }
    }

    #[test]
    fn text_in_cesu8_folds_to_the_text_it_stands_for(text in "[a-zé世😀𝄞\"]{0,40}") {
        let mut cesu8 = Vec::new();
        for unit in text.encode_utf16() {
            match char::from_u32(u32::from(unit)) {
                Some(character) => cesu8.extend(character.to_string().into_bytes()),
                None => cesu8.extend([
                    0xE0 | u8::try_from(unit >> 12).expect("4 bits"),
                    0x80 | u8::try_from(unit >> 6 & 0x3F).expect("6 bits"),
                    0x80 | u8::try_from(unit & 0x3F).expect("6 bits"),
                ]),
            }
        }
        prop_assert_eq!(fold_cesu8(&cesu8), Ok(Cow::Owned(text)));
    }

    #[test]
    fn escaped_json_says_the_same_without_four_byte_characters(text in any::<String>()) {
        let json = serde_json::to_vec(&text).expect("a string");
        let escaped = escape_non_bmp(&json);
        prop_assert!(escaped.iter().all(|byte| *byte < 0xF0));
        prop_assert_eq!(serde_json::from_slice::<String>(&escaped).expect("JSON"), text);
    }

    #[test]
    fn what_is_compressed_is_smaller_and_inflates_to_the_same(
        seed in vec(any::<u8>(), 1..50),
        repeats in 1..20_usize,
    ) {
        let body = seed.repeat(repeats);
        if let Some(compressed) = deflate_if_smaller(&body) {
            prop_assert!(compressed.len() < body.len());
            prop_assert_eq!(inflate(&compressed, body.len()), Ok(body.clone()));
            prop_assert!(inflate(&compressed, body.len() - 1).is_err());
        }
    }

    #[test]
    fn a_dictionary_is_one_to_one(pairs in vec(("[ab]{0,3}", 0..6_u16), 0..6)) {
        if let Ok(dictionary) = RouteDictionary::from_pairs(pairs.clone()) {
            prop_assert_eq!(dictionary.len(), pairs.len());
            for (route, code) in dictionary.iter() {
                prop_assert_eq!(dictionary.code(route), Some(code));
                prop_assert_eq!(dictionary.route(code), Some(route));
            }
        }
    }

    #[test]
    fn messages_come_up_only_between_the_ack_and_the_end(
        steps in vec((0..12_u8, 0..70_u64), 0..40),
    ) {
        let mut now = Millis::ZERO;
        let mut protocol = ServerProtocol::new(now);
        let mut handshakes = 0;
        let mut is_established = false;
        let mut is_over = false;
        for (step, elapsed) in steps {
            now = now.plus(elapsed);
            match step {
                1..=9 => {
                    let kind = PacketKind::try_from((step - 1) % 5 + 1).expect("a kind");
                    let packet = Packet { kind, body: Cow::Borrowed(b"x") };
                    match protocol.handle_packet(now, packet) {
                        Ok(Some(event)) => {
                            prop_assert!(!is_over);
                            match event {
                                ServerEvent::HandshakeRequested(_) => handshakes += 1,
                                ServerEvent::Established => {
                                    prop_assert!(!is_established);
                                    is_established = true;
                                }
                                ServerEvent::Message(_) | ServerEvent::Heartbeat => {
                                    prop_assert!(is_established);
                                }
                            }
                        }
                        Ok(None) => {}
                        Err(_) => is_over = true,
                    }
                }
                10 => protocol.accept(now),
                11 if elapsed > 60 => { protocol.refuse(); is_over = true; }
                _ => match protocol.handle_tick(now, 30) {
                    Some(Liveness::Dead) => is_over = true,
                    Some(Liveness::SendHeartbeat) => prop_assert!(is_established && !is_over),
                    None => {}
                },
            }
            prop_assert!(handshakes <= 1);
            prop_assert_eq!(is_over, protocol.state() == ServerState::Closed);
        }
    }

    #[test]
    fn a_client_survives_any_server(
        answer in any::<bool>(),
        packets in vec((1..=6_u8, vec(any::<u8>(), 0..30)), 0..20),
    ) {
        let mut client = ClientProtocol::new(ClientConfig::default(), Millis::ZERO).expect("it fits");
        let mut stream = Vec::new();
        if answer {
            let body = br#"{"code":200,"sys":{"heartbeat":1,"dict":{"a":0,"b":1}}}"#;
            encode_packet(PacketKind::Handshake, body, &mut stream).expect("it fits");
        }
        for (kind, body) in &packets {
            stream.extend([*kind, 0, 0, u8::try_from(body.len()).expect("short")]);
            stream.extend(body);
        }
        for (at, piece) in (0..).zip(stream.chunks(7)) {
            let now = Millis(at * 100);
            let _ = client.request(now, "b", b"{}", 150);
            let _ = client.handle_bytes(now, piece);
            client.handle_timeout(now);
            while client.poll_event().is_some() {}
            let mut out = Vec::new();
            while client.poll_transmit(&mut out) {}
            if let Some(deadline) = client.poll_deadline() {
                prop_assert!(deadline > now);
            }
        }
    }

    /// However a header is split, it says the same, and nothing behind it is taken.
    #[test]
    fn a_proxys_header_says_the_same_however_it_is_split(
        ip in any::<[u8; 4]>(), port in any::<u16>(), notes in vec(any::<u8>(), 0..300),
        rest in vec(any::<u8>(), 0..50), sizes in vec(1..40_usize, 1..60),
    ) {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
        bytes.extend(u16::try_from(12 + notes.len()).unwrap().to_be_bytes());
        bytes.extend(ip.iter().chain(&[10, 0, 0, 1]).chain(&port.to_be_bytes()).chain(&[0, 80]).chain(&notes));
        let header_len = bytes.len();
        bytes.extend(&rest);
        let (mut decoder, mut at, mut found) = (ProxyDecoder::new(), 0, None);
        for size in sizes.iter().cycle() {
            prop_assert!(decoder.wanted_len() <= header_len - at);
            let mut piece = &bytes[at..(at + size).min(bytes.len())];
            let before = piece.len();
            found = decoder.decode(&mut piece).unwrap();
            at += before - piece.len();
            if found.is_some() {
                break;
            }
        }
        prop_assert_eq!(found, Some(ProxyHeader::Client((ip, port).into())));
        prop_assert_eq!(at, header_len);
    }

    #[test]
    fn no_bytes_make_the_decoder_of_proxys_headers_panic_or_keep_more_than_a_header(
        bytes in vec(any::<u8>(), 0..700), begins_well in any::<bool>(), sizes in vec(1..40_usize, 1..60),
    ) {
        let mut stream = if begins_well { b"\r\n\r\n\0\r\nQUIT\n".to_vec() } else { Vec::new() };
        stream.extend(bytes);
        let (mut decoder, mut at) = (ProxyDecoder::new(), 0);
        for size in sizes.iter().cycle() {
            let mut piece = &stream[at..(at + size).min(stream.len())];
            let before = piece.len();
            let decoded = decoder.decode(&mut piece);
            at += before - piece.len();
            prop_assert!(at <= PROXY_HEADER_LEN_MAX);
            if !matches!(decoded, Ok(None)) || at == stream.len() {
                break;
            }
            prop_assert!(decoder.wanted_len() > 0);
        }
    }
}
