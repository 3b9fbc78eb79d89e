//! Tests of the packet decoder: limits, pieces, and what it keeps.

use super::*;

const LIMIT: usize = 65_536;

fn decode_one(decoder: &mut PacketDecoder, mut input: &[u8]) -> Option<(PacketKind, Vec<u8>)> {
    let packet = decoder.decode(&mut input, LIMIT).expect("a packet");
    packet.map(|packet| (packet.kind, packet.body.into_owned()))
}

#[test]
fn unknown_packet_type_is_an_error_from_its_first_byte_on() {
    for kind in [0, 6, 7, 0x47, 0xFF] {
        let expected = Err(PacketError::UnknownKind { kind });
        assert_eq!(PacketDecoder::new().decode(&mut [kind].as_slice(), LIMIT), expected);
        let mut whole: &[u8] = &[kind, 0, 0, 0];
        assert_eq!(PacketDecoder::new().decode(&mut whole, LIMIT), expected);
    }
}

#[test]
fn length_over_the_limit_is_an_error_before_anything_is_kept_for_it() {
    let mut decoder = PacketDecoder::new();
    let mut input: &[u8] = &[4, 1, 0, 1];
    let expected = PacketError::BodyTooLong { body_len: 65_537, body_len_max: LIMIT };
    assert_eq!(decoder.decode(&mut input, LIMIT), Err(expected.clone()));
    assert!(decoder.is_idle());

    let mut decoder = PacketDecoder::new();
    assert_eq!(decode_one(&mut decoder, &[4, 1]), None);
    let mut input: &[u8] = &[0, 1, 9];
    assert_eq!(decoder.decode(&mut input, LIMIT), Err(expected));
    assert_eq!(decoder.buffered_len(), 4);
}

#[test]
fn announced_length_alone_takes_no_memory() {
    let mut decoder = PacketDecoder::new();
    let mut input: &[u8] = &[4, 1, 0, 0, 7];
    assert_eq!(decoder.decode(&mut input, LIMIT), Ok(None));
    let partial = decoder.partial.as_ref().expect("a beginning is kept");
    assert_eq!(partial.body.capacity(), PARTIAL_BODY_LEN_START);

    let piece = [7; 1000];
    assert_eq!(decoder.decode(&mut piece.as_slice(), LIMIT), Ok(None));
    let partial = decoder.partial.as_ref().expect("a beginning is kept");
    assert!(partial.body.capacity() <= 2 * 1001);
}

#[test]
fn body_buffer_never_grows_over_the_announced_length() {
    let mut decoder = PacketDecoder::new();
    assert_eq!(decode_one(&mut decoder, &[4, 0, 0, 100]), None);
    for _ in 0..99 {
        assert_eq!(decode_one(&mut decoder, &[1]), None);
    }
    let partial = decoder.partial.as_ref().expect("a beginning is kept");
    assert_eq!(partial.body.capacity(), 100);
    let packet = decode_one(&mut decoder, &[1]);
    assert_eq!(packet, Some((PacketKind::Data, vec![1; 100])));
    assert!(decoder.is_idle());
}

#[test]
fn short_body_apart_from_its_header_is_delivered_at_once() {
    for body in [&[3, 0, 1][..], &[2, 0], &[9]] {
        let mut decoder = PacketDecoder::new();
        let header = packet_header(PacketKind::Data, body.len()).expect("short");
        assert_eq!(decode_one(&mut decoder, &header), None);
        let packet = decode_one(&mut decoder, body);
        assert_eq!(packet, Some((PacketKind::Data, body.to_vec())));
        assert!(decoder.is_idle());
    }
}

#[test]
fn whole_body_is_borrowed_and_one_in_pieces_is_owned() {
    let mut decoder = PacketDecoder::new();
    let stream = [4, 0, 0, 2, b'h', b'i', 4, 0, 0, 2, b'h'];
    let mut input = stream.as_slice();
    let packet = decoder.decode(&mut input, LIMIT).expect("a packet");
    assert!(matches!(packet.expect("whole").body, Cow::Borrowed(b"hi")));
    assert_eq!(decoder.decode(&mut input, LIMIT), Ok(None));
    let packet = decoder.decode(&mut b"i".as_slice(), LIMIT);
    assert!(matches!(packet.expect("a packet").expect("whole").body, Cow::Owned(_)));
}

#[test]
fn body_whole_after_a_lone_header_is_borrowed() {
    let mut decoder = PacketDecoder::new();
    assert_eq!(decode_one(&mut decoder, &[4, 0, 0, 2]), None);
    let packet = decoder.decode(&mut b"hi".as_slice(), LIMIT);
    assert!(matches!(packet.expect("a packet").expect("whole").body, Cow::Borrowed(b"hi")));
}

#[test]
fn empty_packets_need_no_byte_after_their_header() {
    let mut decoder = PacketDecoder::new();
    for (byte, is_last) in HEARTBEAT_PACKET.iter().zip([false, false, false, true]) {
        let packet = decode_one(&mut decoder, &[*byte]);
        assert_eq!(packet, is_last.then(|| (PacketKind::Heartbeat, Vec::new())));
    }
}

#[test]
fn longest_body_is_encoded_and_one_byte_more_is_refused_untouched() {
    let mut body = vec![0; PACKET_BODY_LEN_MAX];
    let mut out = Vec::new();
    encode_packet(PacketKind::Data, &body, &mut out).expect("it fits");
    assert_eq!(out.get(..4), Some([4, 0xFF, 0xFF, 0xFF].as_slice()));

    body.push(0);
    let mut out = vec![7];
    let error = encode_packet(PacketKind::Data, &body, &mut out);
    let expected =
        PacketError::BodyTooLong { body_len: PACKET_BODY_LEN_MAX + 1, body_len_max: PACKET_BODY_LEN_MAX };
    assert_eq!((error, out), (Err(expected), vec![7]));
}

#[test]
fn constant_packets_are_what_the_encoder_writes() {
    for (kind, constant) in
        [(PacketKind::Heartbeat, HEARTBEAT_PACKET), (PacketKind::HandshakeAck, ACK_PACKET)]
    {
        assert_eq!(packet_header(kind, 0), Ok(constant));
    }
}
