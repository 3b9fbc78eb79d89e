//! Tests of the client's side against hand-written packets.

use super::*;
use crate::limits::REQUEST_ID_MAX;
use crate::message::encode_message;

const ANSWER: &[u8] = br#"{"code":200,"sys":{"dict":{"Room.Echo":1,"onLine":7},"heartbeat":2}}"#;

fn packet(kind: PacketKind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_packet(kind, body, &mut out).expect("it fits");
    out
}

fn message(head: &MessageHead<'_>, is_compressed: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    encode_message(head, is_compressed, payload, &mut body).expect("it fits");
    packet(PacketKind::Data, &body)
}

fn transmits(client: &mut ClientProtocol) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut out = Vec::new();
    while client.poll_transmit(&mut out) {
        packets.push(std::mem::take(&mut out));
    }
    packets
}

fn events(client: &mut ClientProtocol) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn fresh() -> ClientProtocol {
    ClientProtocol::new(ClientConfig::default(), Millis::ZERO).expect("it fits")
}

/// A client that is let in at time 0.
fn connected_with(config: ClientConfig) -> ClientProtocol {
    let mut client = ClientProtocol::new(config, Millis::ZERO).expect("it fits");
    let answer = packet(PacketKind::Handshake, ANSWER);
    client.handle_bytes(Millis::ZERO, &answer).expect("a good server");
    assert!(matches!(events(&mut client)[..], [ClientEvent::Connected { .. }]));
    transmits(&mut client);
    client
}

fn connected() -> ClientProtocol {
    connected_with(ClientConfig::default())
}

#[test]
fn handshake_goes_out_first_and_the_ack_after_the_answer() {
    let mut client = fresh();
    let sent = transmits(&mut client);
    let [handshake] = sent.as_slice() else {
        panic!("one packet, not {sent:?}");
    };
    let sys = HandshakeRequest::parse(&handshake[4..]).expect("a handshake").sys;
    assert_eq!(sys.caps, ["away/1", "err/1", "utf8/1", "zlib/1"]);
    let refused = client.request(Millis::ZERO, "a", b"", 1);
    assert_eq!(refused, Err(SendError::NotConnected));
    let answer = packet(PacketKind::Handshake, ANSWER);
    client.handle_bytes(Millis::ZERO, &answer).expect("a good server");
    assert_eq!(transmits(&mut client), [ACK_PACKET]);
    assert_eq!(client.state(), ClientState::Working);
}

#[test]
fn refusal_and_late_answer_end_the_connection() {
    let mut client = fresh();
    let answer = packet(PacketKind::Handshake, br#"{"code":501,"message":"old"}"#);
    client.handle_bytes(Millis::ZERO, &answer).expect("a good server");
    assert!(matches!(events(&mut client)[..], [ClientEvent::Refused { code: 501, .. }]));
    assert_eq!((client.state(), client.poll_deadline()), (ClientState::Closed, None));

    let mut client = fresh();
    let deadline = client.poll_deadline().expect("a deadline");
    client.handle_timeout(Millis(deadline.0 - 1));
    assert_eq!(client.state(), ClientState::Handshaking);
    client.handle_timeout(deadline);
    assert_eq!(events(&mut client), [ClientEvent::HandshakeTimedOut]);
    assert_eq!(client.state(), ClientState::Closed);
}

#[test]
fn each_packet_is_transmitted_alone_and_known_routes_go_by_code() {
    let mut client = connected();
    assert_eq!(client.request(Millis::ZERO, "Room.Echo", b"x", 10), Ok(1));
    client.notify("other", b"y").expect("sent");
    let sent = transmits(&mut client);
    assert_eq!(sent, [&b"\x04\0\0\x05\x01\x01\0\x01x"[..], b"\x04\0\0\x08\x02\x05othery"]);
    assert_eq!(client.unsent_len(), 0);
}

#[test]
fn request_ends_in_a_response_or_a_time_out_but_not_both() {
    let mut client = connected();
    let id = client.request(Millis::ZERO, "a", b"", 100).expect("sent");
    assert_eq!(client.poll_deadline(), Some(Millis(100)));
    client.handle_timeout(Millis(99));
    assert_eq!(events(&mut client), []);
    client.handle_timeout(Millis(100));
    assert_eq!(events(&mut client), [ClientEvent::TimedOut { id }]);
    let late = message(&MessageHead::Response { id, is_error: false }, false, b"x");
    client.handle_bytes(Millis(101), &late).expect("late is no fault");
    assert_eq!(events(&mut client), []);
}

#[test]
fn cancelled_request_has_no_event_and_frees_its_place() {
    let config = ClientConfig { in_flight_max: 1, ..ClientConfig::default() };
    let mut client = connected_with(config);
    let id = client.request(Millis::ZERO, "a", b"", 100).expect("sent");
    let refused = client.request(Millis::ZERO, "a", b"", 100);
    assert_eq!(refused, Err(SendError::TooManyInFlight { in_flight_max: 1 }));
    assert!(client.cancel(id) && !client.cancel(id));
    assert_eq!(client.request(Millis::ZERO, "a", b"", 100), Ok(id + 1));
    let late = message(&MessageHead::Response { id, is_error: false }, false, b"x");
    client.handle_bytes(Millis(1), &late).expect("late is no fault");
    assert_eq!((events(&mut client), client.in_flight()), (vec![], 1));
}

#[test]
fn request_ids_wrap_below_two_to_the_31_and_skip_those_in_flight() {
    let mut in_flight = InFlight::default();
    in_flight.insert(1, Millis::ZERO);
    in_flight.insert(REQUEST_ID_MAX - 1, Millis::ZERO);
    assert_eq!(in_flight.next_id(), REQUEST_ID_MAX);
    in_flight.insert(REQUEST_ID_MAX, Millis::ZERO);
    assert_eq!(in_flight.next_id(), 2);
}

#[test]
fn close_gives_every_unanswered_request_once() {
    let mut client = connected();
    for _ in 0..3 {
        client.request(Millis::ZERO, "a", b"", 100).expect("sent");
    }
    client.cancel(2);
    assert_eq!(client.close(), [1, 3]);
    assert!(client.close().is_empty());
    assert!(!client.poll_transmit(&mut Vec::new()));
}

#[test]
fn unsent_packets_are_bounded_but_one_always_fits() {
    let config = ClientConfig { unsent_len_max: 20, ..ClientConfig::default() };
    let mut client = connected_with(config);
    client.notify("a", &[0; 100]).expect("the queue was empty");
    let unsent_len = client.unsent_len();
    assert_eq!(client.notify("a", b""), Err(SendError::QueueFull { unsent_len }));
    transmits(&mut client);
    client.notify("a", b"").expect("there is room again");
}

#[test]
fn message_over_the_limit_is_refused_and_takes_no_id() {
    let config = ClientConfig { body_len_out_max: 10, ..ClientConfig::default() };
    let refused = ClientProtocol::new(config, Millis::ZERO);
    assert!(matches!(refused, Err(SendError::Handshake { .. })));
    let mut client = connected();
    client.config.body_len_out_max = 10;
    let refused = client.request(Millis::ZERO, "a", &[0; 10], 100);
    assert!(matches!(refused, Err(SendError::Encode { .. })));
    assert_eq!((client.in_flight(), client.unsent_len()), (0, 0));
    assert_eq!(client.request(Millis::ZERO, "a", b"", 100), Ok(1));
}

#[test]
fn heartbeats_go_out_before_the_server_would_send_its_own() {
    let mut client = connected();
    assert_eq!(client.poll_deadline(), Some(Millis(1500)));
    client.handle_timeout(Millis(1500));
    assert_eq!(transmits(&mut client), [HEARTBEAT_PACKET]);
    assert!(client.awaits_heartbeat());
    client.handle_bytes(Millis(1520), &HEARTBEAT_PACKET).expect("a good server");
    assert!(!client.awaits_heartbeat());
    client.handle_bytes(Millis(1530), &HEARTBEAT_PACKET).expect("a good server");
    assert_eq!(client.round_trip_ms(), Some(20));
}

#[test]
fn server_silent_for_more_than_two_intervals_is_dead() {
    let mut client = connected();
    client.handle_timeout(Millis(1500));
    client.handle_timeout(Millis(3000));
    assert_eq!(client.poll_deadline(), Some(Millis(4001)));
    client.handle_timeout(Millis(4000));
    assert_eq!(events(&mut client), []);
    client.handle_timeout(Millis(4001));
    assert_eq!(events(&mut client), [ClientEvent::Dead { silent_ms: 4001 }]);
    assert_eq!(client.state(), ClientState::Closed);
}

#[test]
fn server_without_heartbeats_is_never_dead() {
    let mut client = fresh();
    let answer = packet(PacketKind::Handshake, br#"{"code":200,"sys":{}}"#);
    client.handle_bytes(Millis::ZERO, &answer).expect("a good server");
    assert_eq!(client.poll_deadline(), None);
    client.handle_timeout(Millis::MAX);
    assert_eq!(client.state(), ClientState::Working);
}

#[test]
fn compressed_push_and_error_response_are_inflated() {
    let mut client = connected();
    let id = client.request(Millis::ZERO, "a", b"", 100).expect("sent");
    let text = [b'a'; 100];
    let compressed = crate::deflate_if_smaller(&text).expect("smaller");
    let push = MessageHead::Push { route: Route::Code(7) };
    let mut bytes = message(&push, true, &compressed);
    bytes.extend(message(&MessageHead::Response { id, is_error: true }, true, &compressed));
    client.handle_bytes(Millis(1), &bytes).expect("a good server");
    let payload = text.to_vec();
    let expected = [
        ClientEvent::Push { route: "onLine".to_owned(), payload: payload.clone() },
        ClientEvent::Response { id, result: Err(ErrorBody { payload }) },
    ];
    assert_eq!(events(&mut client), expected);
}

#[test]
fn zlib_bomb_from_a_server_is_capped() {
    let config = ClientConfig { inflated_len_max: 1000, ..ClientConfig::default() };
    let mut client = connected_with(config);
    let bomb = crate::deflate_if_smaller(&[0; 100_000]).expect("smaller");
    let bytes = message(&MessageHead::Push { route: Route::Code(7) }, true, &bomb);
    let error = client.handle_bytes(Millis(1), &bytes);
    assert!(matches!(error, Err(ClientError::Inflate { .. })));
    assert_eq!(client.state(), ClientState::Closed);
}

#[test]
fn server_that_breaks_the_protocol_ends_the_connection() {
    let answer = packet(PacketKind::Handshake, ANSWER);
    let route = || Route::from("a");
    let unknown_code = message(&MessageHead::Push { route: Route::Code(9) }, false, b"");
    let push = message(&MessageHead::Push { route: route() }, false, b"");
    for (is_connected, bytes) in [
        (false, push),
        (false, ACK_PACKET.to_vec()),
        (false, packet(PacketKind::Handshake, b"[]")),
        (false, b"HTTP/1.1 400 Bad Request".to_vec()),
        (true, answer),
        (true, ACK_PACKET.to_vec()),
        (true, packet(PacketKind::Data, b"\x0F\x01")),
        (true, unknown_code),
        (true, message(&MessageHead::Notify { route: route() }, false, b"")),
        (true, message(&MessageHead::Request { id: 1, route: route() }, false, b"")),
    ] {
        let mut client = if is_connected { connected() } else { fresh() };
        assert!(client.handle_bytes(Millis(1), &bytes).is_err(), "{bytes:x?}");
        assert_eq!((client.state(), client.unsent_len()), (ClientState::Closed, 0));
        client.handle_bytes(Millis(1), &bytes).expect("what follows is ignored");
        assert_eq!(events(&mut client), []);
    }
}

#[test]
fn heartbeat_and_kick_are_round_before_the_handshake_is_answered() {
    let mut client = fresh();
    client.handle_bytes(Millis(1), &HEARTBEAT_PACKET).expect("a good server");
    let kick = packet(PacketKind::Kick, b"");
    client.handle_bytes(Millis(1), &kick).expect("a good server");
    let reason = crate::KickReason::default();
    assert_eq!(events(&mut client), [ClientEvent::Kicked { reason }]);
}

#[test]
fn packets_stay_whole_when_they_are_queued_and_round_by_turns() {
    let mut client = connected();
    for round in 0..50_usize {
        client.notify("a", &vec![7; round]).expect("sent");
        client.notify("b", &vec![8; round]).expect("sent");
        let mut out = Vec::new();
        assert!(client.poll_transmit(&mut out));
        let expected = if round % 2 == 0 { (b'a', 7) } else { (b'b', 8) };
        let mut payload = vec![expected.1; round / 2];
        let mut packet = vec![4, 0, 0, u8::try_from(3 + round / 2).expect("short"), 2, 1, expected.0];
        packet.append(&mut payload);
        assert_eq!(out, packet);
    }
    assert_eq!(transmits(&mut client).len(), 50);
}
