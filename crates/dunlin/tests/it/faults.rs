//! Bad input and hostile clients: each is closed or answered, and everybody else goes on untouched.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin::{App, Node, Raw, SendQueue, Session};
use dunlin_wire::PacketKind;

use crate::support::{Wire, echo, eventually, serve};

/// A served echo with a well-behaved client on it, which must be able to go on at the end.
struct Gate {
    node: Node,
    addr: SocketAddr,
    witness: Wire,
}

impl Gate {
    async fn new() -> Self {
        Self::of(echo().dictionary([("Echo.ping", 1_u16)])).await
    }

    async fn of(app: App) -> Self {
        let (node, addr) = serve(app).await;
        let mut witness = Wire::ws(addr).await;
        witness.shake_hands("{}").await;
        Self { node, addr, witness }
    }

    async fn working(&self) -> Wire {
        let mut wire = Wire::tcp(self.addr).await;
        wire.shake_hands("{}").await;
        wire
    }

    /// Nobody else noticed, and only the witness is still connected.
    async fn is_untouched(mut self) {
        let (_, payload) = self.witness.request(9, "Echo.ping", b"still here").await;
        assert_eq!(payload, b"still here");
        let node = &self.node;
        eventually("only the witness is left", || {
            node.stats().connections() == 1 && node.stats().sessions() == 1
        })
        .await;
        self.node.stop().await;
    }
}

/// Bytes sent right after connecting must end the connection.
async fn closes_a_stranger_that_sends(bytes: &[u8]) {
    let gate = Gate::new().await;
    let mut wire = Wire::tcp(gate.addr).await;
    wire.send(bytes).await;
    wire.expect_closed().await;
    gate.is_untouched().await;
}

/// A message sent by a client that is let in must end its connection.
async fn closes_a_client_that_sends(message: &[u8]) {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    wire.send_message(message).await;
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn an_unknown_packet_type_closes_the_connection() {
    closes_a_stranger_that_sends(b"\x09\x00\x00\x00").await;
}

#[tokio::test]
async fn a_length_over_the_limit_closes_the_connection_before_its_body_comes() {
    closes_a_stranger_that_sends(b"\x01\x01\x00\x01").await;
}

#[tokio::test]
async fn garbage_closes_the_connection() {
    closes_a_stranger_that_sends(&[0xff; 300]).await;
    closes_a_stranger_that_sends(b"\0\0\0\0\0\0\0").await;
}

#[tokio::test]
async fn data_before_the_acknowledgement_closes_the_connection() {
    closes_a_stranger_that_sends(b"\x01\x00\x00\x02{}\x04\x00\x00\x03\x02\x00x").await;
}

#[tokio::test]
async fn an_acknowledgement_without_a_handshake_closes_the_connection() {
    closes_a_stranger_that_sends(b"\x02\x00\x00\x00").await;
}

#[tokio::test]
async fn a_repeated_handshake_closes_the_connection_at_any_time() {
    closes_a_stranger_that_sends(b"\x01\x00\x00\x02{}\x01\x00\x00\x02{}").await;
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    wire.send_packet(b"\x01\x00\x00\x02{}").await;
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_handshake_that_is_not_json_is_refused_with_a_code() {
    let gate = Gate::new().await;
    let mut wire = Wire::tcp(gate.addr).await;
    wire.send(b"\x01\x00\x00\x03{{{").await;
    let (kind, body) = wire.recv().await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((kind, &body["code"]), (PacketKind::Handshake, &500.into()));
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_kick_from_a_client_closes_the_connection() {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    wire.send_packet(b"\x05\x00\x00\x00").await;
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_truncated_varint_closes_the_connection() {
    closes_a_client_that_sends(b"\x00\x80\x80").await;
}

#[tokio::test]
async fn an_over_long_varint_closes_the_connection() {
    closes_a_client_that_sends(b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01a").await;
}

#[tokio::test]
async fn a_route_past_the_end_closes_the_connection() {
    closes_a_client_that_sends(b"\x02\xffEcho").await;
    closes_a_client_that_sends(b"\x03\x01").await;
}

#[tokio::test]
async fn a_route_that_is_not_utf8_closes_the_connection() {
    closes_a_client_that_sends(b"\x00\x01\x02\xff\xfe").await;
}

#[tokio::test]
async fn a_response_or_push_from_a_client_closes_the_connection() {
    closes_a_client_that_sends(b"\x04\x01{}").await;
    closes_a_client_that_sends(b"\x06\x01a{}").await;
    closes_a_client_that_sends(b"\x0e\x01a{}").await;
}

#[tokio::test]
async fn an_unknown_dictionary_code_is_answered_with_not_found() {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    wire.send_message(b"\x01\x05\x12\x34{}").await;
    let (_, payload) = wire.response(5).await;
    let error: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(error["code"], 404);
    assert_eq!(wire.request(6, "Echo.ping", b"on").await.1, b"on");
    drop(wire);
    gate.is_untouched().await;
}

#[tokio::test]
async fn ten_thousand_unknown_routes_are_answered_and_leave_nothing_behind() {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    for round in 0..100_u32 {
        let mut batch = Vec::new();
        for i in 0..100_u32 {
            let route = format!("No.such{round}x{i}");
            let id = u8::try_from(i).unwrap();
            let mut message = vec![0, id, u8::try_from(route.len()).unwrap()];
            message.extend_from_slice(route.as_bytes());
            dunlin_wire::encode_packet(PacketKind::Data, &message, &mut batch).unwrap();
        }
        wire.send(&batch).await;
        for id in 0..100 {
            wire.response(id).await;
        }
    }
    assert_eq!(gate.node.stats().unknown_routes, 10_000);
    drop(wire);
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_zlib_bomb_is_answered_with_an_error_and_never_inflated() {
    let bomb = dunlin_wire::deflate_if_smaller(&vec![0; 20 << 20]).unwrap();
    assert!(bomb.len() < 60_000);
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    let mut message = b"\x10\x07\x09Echo.ping".to_vec();
    message.extend_from_slice(&bomb);
    wire.send_message(&message).await;
    let (_, payload) = wire.response(7).await;
    let error: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(error["code"], 400);
    drop(wire);
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_body_of_one_to_three_bytes_apart_from_its_header_is_taken_at_once() {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    // A request by dictionary code without a payload: four bytes, then a notify of three.
    for body in [&b"\x03\x00\x01"[..], b"\x01\x08\x00\x01"] {
        wire.send(&[4, 0, 0, u8::try_from(body.len()).unwrap()]).await;
        tokio::task::yield_now().await;
        wire.send(body).await;
    }
    wire.response(8).await;
    assert_eq!(gate.node.stats().messages_in, 2);
    drop(wire);
    gate.is_untouched().await;
}

#[tokio::test]
async fn packets_split_at_every_byte_are_served_like_whole_ones() {
    let gate = Gate::new().await;
    let mut wire = gate.working().await;
    for byte in b"\x04\x00\x00\x11\x00\x03\x09Echo.pinghello" {
        wire.send(&[*byte]).await;
    }
    assert_eq!(wire.response(3).await.1, b"hello");
    drop(wire);
    gate.is_untouched().await;
}

#[tokio::test]
async fn text_websocket_messages_are_taken_as_bytes() {
    let gate = Gate::new().await;
    let mut wire = Wire::ws(gate.addr).await;
    let mut text = Vec::new();
    dunlin_wire::ws::encode_text(&mut text, "\u{1}\0\0\u{2}{}", Some([9; 4]));
    wire.send(&text).await;
    assert_eq!(wire.recv().await.unwrap().0, PacketKind::Handshake);
    drop(wire);
    gate.is_untouched().await;
}

/// Bytes sent right after the upgrade must end the connection with this close code.
async fn closes_a_websocket_that_sends(bytes: &[u8], code: u16) {
    let gate = Gate::new().await;
    let mut wire = Wire::ws(gate.addr).await;
    wire.send(bytes).await;
    wire.expect_closed().await;
    assert_eq!(wire.close_code, Some(code));
    gate.is_untouched().await;
}

#[tokio::test]
async fn an_unmasked_frame_closes_the_websocket_as_a_protocol_error() {
    closes_a_websocket_that_sends(b"\x82\x04\x02\0\0\0", 1002).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_the_websocket_with_its_own_code() {
    closes_a_websocket_that_sends(b"\x81\x82\0\0\0\0\xff\xfe", 1007).await;
}

#[tokio::test]
async fn a_frame_that_announces_too_much_closes_the_websocket_at_its_header() {
    closes_a_websocket_that_sends(b"\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0", 1009).await;
}

#[tokio::test]
async fn fragments_without_end_close_the_websocket() {
    let mut fragments = b"\x02\x80\0\0\0\0".to_vec();
    for _ in 0..10_000 {
        fragments.extend_from_slice(b"\0\x80\0\0\0\0");
    }
    let gate = Gate::new().await;
    let mut wire = Wire::ws(gate.addr).await;
    wire.send(&fragments).await;
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_flood_of_pings_closes_the_websocket() {
    let gate = Gate::new().await;
    let mut wire = Wire::ws(gate.addr).await;
    wire.shake_hands("{}").await;
    for _ in 0..2000 {
        wire.send(b"\x89\x80\0\0\0\0").await;
    }
    wire.expect_closed().await;
    gate.is_untouched().await;
}

#[tokio::test]
async fn a_foreign_origin_is_refused_and_ones_own_is_not() {
    let gate = Gate::new().await;
    let mut wire = Wire::tcp(gate.addr).await;
    assert_eq!(wire.upgrade("Origin: http://evil.example\r\n").await, 403);
    wire.expect_end().await;
    let mut wire = Wire::tcp(gate.addr).await;
    assert_eq!(wire.upgrade("Origin: http://game.example\r\n").await, 101);
    drop(wire);
    assert_eq!(gate.node.stats().origins_refused, 1);
    gate.is_untouched().await;
}

fn impatient(app: App) -> App {
    app.configure(|gate| gate.handshake_timeout = Duration::from_millis(300))
}

#[tokio::test]
async fn a_connection_that_stays_silent_is_closed_by_the_deadline() {
    let (node, addr) = serve(impatient(echo())).await;
    Wire::tcp(addr).await.expect_closed().await;
    assert_eq!(node.stats().handshakes_timed_out, 1);
    node.stop().await;
}

#[tokio::test]
async fn half_an_upgrade_is_answered_with_a_timeout() {
    let (node, addr) = serve(impatient(echo())).await;
    let mut wire = Wire::tcp(addr).await;
    wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nUpgr").await;
    assert_eq!(wire.read_http_status().await, 408);
    wire.expect_end().await;
    node.stop().await;
}

#[tokio::test]
async fn a_client_silent_after_its_upgrade_or_its_handshake_is_closed() {
    let (node, addr) = serve(impatient(echo())).await;
    let mut upgraded = Wire::ws(addr).await;
    let mut shaken = Wire::tcp(addr).await;
    shaken.send(b"\x01\x00\x00\x02{}").await;
    upgraded.expect_closed().await;
    shaken.expect_closed().await;
    eventually("both are gone", || node.stats().connections() == 0).await;
    node.stop().await;
}

#[tokio::test]
async fn an_http_head_without_end_is_refused() {
    let (node, addr) = serve(echo()).await;
    let mut wire = Wire::tcp(addr).await;
    wire.send(b"GET / HTTP/1.1\r\nX: ").await;
    wire.send(&[b'x'; 10_000]).await;
    assert_eq!(wire.read_http_status().await, 431);
    wire.expect_end().await;
    node.stop().await;
}

#[tokio::test]
async fn a_close_from_inside_a_handler_with_a_full_queue_ends_the_session_once() {
    let app = App::new()
        .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .route("Burst.close", |session: Session| async move {
            while session.push_raw("onBlob", vec![0; 4096]).is_ok() {}
            session.close().ok();
            Ok(())
        })
        .configure(|gate| gate.send_queue = SendQueue { bytes_max: 1 << 20, ..SendQueue::default() });
    let gate = Gate::of(app).await;
    let mut wire = gate.working().await;
    wire.send_message(b"\x00\x01\x0bBurst.close{}").await;
    wire.expect_closed().await;
    let node = &gate.node;
    eventually("it ended", || node.stats().sessions_closed == 1).await;
    gate.is_untouched().await;
}
