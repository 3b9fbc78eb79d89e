//! The golden vectors in both directions: the bytes give the values, the values give the bytes.

use std::borrow::Cow;

use dunlin_wire::{
    HandshakeRequest, HandshakeResponse, MessageHead, PacketDecoder, PacketError, PacketKind, Route,
    data_packet_len, decode_message, encode_data_packet, encode_kick, encode_message, encode_packet, inflate,
    parse_kick,
};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../interop/golden/client-vectors.json");

fn vectors(group: &str) -> Vec<Value> {
    let mut all: Value = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let Value::Array(rows) = all[group].take() else {
        panic!("{group} is an array");
    };
    assert!(!rows.is_empty(), "{group} has rows");
    rows
}

fn hex(row: &Value, field: &str) -> Vec<u8> {
    let digits = row[field].as_str().expect("a field of hex digits");
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn number(row: &Value, field: &str) -> usize {
    usize::try_from(row[field].as_u64().expect("a number")).expect("a small number")
}

/// The head a row describes, and whether its payload is compressed.
fn head(row: &Value) -> (MessageHead<'_>, bool) {
    let route = || match row["code"].as_u64() {
        Some(code) => Route::Code(u16::try_from(code).expect("a 16-bit code")),
        None => Route::Name(Cow::Borrowed(row["route"].as_str().expect("a route"))),
    };
    let id = || row["id"].as_u64().expect("an id");
    let extra_flags = number(row, "extra_flags");
    let is_error = extra_flags & 0x20 != 0;
    let head = match number(row, "type") {
        0 => MessageHead::Request { id: id(), route: route() },
        1 => MessageHead::Notify { route: route() },
        2 => MessageHead::Response { id: id(), is_error },
        3 => MessageHead::Push { route: route() },
        other => panic!("type {other} is unknown"),
    };
    (head, extra_flags & 0x10 != 0)
}

#[test]
fn every_message_vector_decodes_to_what_it_says() {
    for row in vectors("messages") {
        let name = &row["name"];
        let bytes = hex(&row, "message");
        let message = decode_message(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (head, is_compressed) = head(&row);
        assert_eq!(message.head, head, "{name}");
        assert_eq!(message.is_compressed, is_compressed, "{name}");
        assert_eq!(message.payload, hex(&row, "body_hex"), "{name}");
        let body = if is_compressed {
            inflate(message.payload, 1024).expect("the payload inflates")
        } else {
            message.payload.to_vec()
        };
        assert_eq!(Some(str::from_utf8(&body).expect("text")), row["body"].as_str(), "{name}");
    }
}

#[test]
fn every_message_vector_is_encoded_to_the_same_bytes() {
    for row in vectors("messages") {
        let name = &row["name"];
        let (head, is_compressed) = head(&row);
        let payload = hex(&row, "body_hex");
        let mut message = Vec::new();
        encode_message(&head, is_compressed, &payload, &mut message).expect("it fits");
        assert_eq!(message, hex(&row, "message"), "{name}");
        let mut packet = Vec::new();
        encode_data_packet(&head, is_compressed, &payload, 1024, &mut packet).expect("it fits");
        assert_eq!(packet, hex(&row, "packet"), "{name}");
        assert_eq!(packet.len(), data_packet_len(&head, payload.len()), "{name}");
    }
}

#[test]
fn every_packet_vector_goes_both_ways() {
    for row in vectors("packets") {
        let name = &row["name"];
        let bytes = hex(&row, "packet");
        let kind = u8::try_from(number(&row, "type")).expect("a byte");
        let kind = PacketKind::try_from(kind).expect("a known kind");
        let body = row["body"].as_str().expect("a body").as_bytes();

        let mut input = bytes.as_slice();
        let packet = PacketDecoder::new().decode(&mut input, 1024).expect("a packet");
        let packet = packet.unwrap_or_else(|| panic!("{name} is whole"));
        assert_eq!((packet.kind, &*packet.body), (kind, body), "{name}");
        assert!(input.is_empty(), "{name}");

        let mut encoded = Vec::new();
        encode_packet(kind, body, &mut encoded).expect("it fits");
        assert_eq!(encoded, bytes, "{name}");
    }
}

#[test]
fn every_packet_body_vector_is_understood_and_written_the_same() {
    for row in vectors("packets") {
        let name = row["name"].as_str().expect("a name");
        let body = row["body"].as_str().expect("a body").as_bytes();
        let mut encoded = Vec::new();
        match (number(&row, "type"), name) {
            (1, "handshake {}") => {
                let request = HandshakeRequest::parse(body).expect("a request");
                assert_eq!(request, HandshakeRequest::default());
                continue;
            }
            (1, "handshake js") => {
                // Key order differs from ours, so the values are compared.
                let request = HandshakeRequest::parse(body).expect("a request");
                assert_eq!(request.sys.kind.as_deref(), Some("js-websocket"));
                request.encode(&mut encoded);
                let ours: Value = serde_json::from_slice(&encoded).expect("JSON");
                assert_eq!(ours, serde_json::from_slice::<Value>(body).expect("JSON"));
                continue;
            }
            (1, _) => {
                HandshakeResponse::parse(body).expect("an answer").encode(&mut encoded);
            }
            (5, "kick") => {
                assert_eq!(parse_kick(body).as_str(), "kick");
                encode_kick("kick", &mut encoded).expect("it fits");
                assert_eq!(encoded, hex(&row, "packet"));
                continue;
            }
            (5, _) => {
                assert_eq!(parse_kick(body).as_str(), "");
                continue;
            }
            _ => assert!(body.is_empty(), "{name}"),
        }
        assert_eq!(String::from_utf8_lossy(&encoded), String::from_utf8_lossy(body), "{name}");
    }
}

#[test]
fn the_limit_of_64_kib_stands_where_nano_has_it() {
    for row in vectors("limits") {
        let header = hex(&row, "header");
        let mut input = header.as_slice();
        let mut decoder = PacketDecoder::new();
        let result = decoder.decode(&mut input, dunlin_wire::PACKET_BODY_LEN_IN_DEFAULT);
        let body_len = number(&row, "body_length");
        match row["nano"].as_str() {
            Some("accepted") => assert_eq!(result, Ok(None)),
            _ => assert_eq!(result, Err(PacketError::BodyTooLong { body_len, body_len_max: 65_536 })),
        }
    }
}
