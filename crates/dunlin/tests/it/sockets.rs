//! The client port: TCP, WebSocket and pages on one address, TLS, limits, leaks.

use dunlin::{App, Listen, Raw, TlsFiles};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Wire, echo, eventually, serve};

#[tokio::test]
async fn tcp_websocket_and_pages_share_one_address() {
    let (node, addr) = serve(echo().page("/", "text/html", "<h1>hello</h1>")).await;
    let mut tcp = Wire::tcp(addr).await;
    tcp.shake_hands("{}").await;
    assert_eq!(tcp.request(1, "Echo.ping", b"tcp").await.1, b"tcp");
    let mut ws = Wire::ws(addr).await;
    ws.shake_hands("{}").await;
    assert_eq!(ws.request(1, "Echo.ping", b"ws").await.1, b"ws");

    let mut page = TcpStream::connect(addr).await.unwrap();
    page.write_all(b"GET /?x=1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("<h1>hello</h1>"), "{answer}");
    let mut missing = Wire::tcp(addr).await;
    missing.send(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(missing.read_http_status().await, 404);
    node.stop().await;
}

#[tokio::test]
async fn ipv6_is_served_where_the_machine_has_it() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let node = echo().listen("127.0.0.1:0").listen("[::1]:0").start().await.unwrap();
    for addr in node.addrs() {
        let mut wire = Wire::tcp(*addr).await;
        wire.shake_hands("{}").await;
        assert_eq!(wire.request(1, "Echo.ping", b"x").await.1, b"x");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_handshake_answers_with_an_integer_heartbeat_and_the_dictionary() {
    let (node, addr) = serve(echo().dictionary([("Echo.ping", 1_u16), ("onLine", 7)])).await;
    let mut wire = Wire::tcp(addr).await;
    let mut welcome = wire.shake_hands(r#"{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{}}}"#).await;
    welcome["sys"]["servertime"].take();
    let expected = json!({"code": 200, "sys": {"dict": {"Echo.ping": 1, "onLine": 7}, "heartbeat": 30, "servertime": null}});
    assert_eq!(welcome, expected);
    let mut pitaya = Wire::tcp(addr).await;
    let welcome =
        pitaya.shake_hands(r#"{"sys":{"platform":"mac","libVersion":"1","clientVersion":"2"}}"#).await;
    assert_eq!((&welcome["sys"]["dict"], &welcome["sys"]["serializer"]), (&json!({}), &json!("json")));
    node.stop().await;
}

#[tokio::test]
async fn errors_carry_the_flag_only_for_clients_that_know_it() {
    let (node, addr) = serve(echo()).await;
    let mut nano = Wire::tcp(addr).await;
    nano.shake_hands("{}").await;
    let (flag, body) = nano.request(1, "No.such", b"{}").await;
    assert_eq!(
        (flag, serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"].clone()),
        (0x04, json!(404))
    );
    let mut pitaya = Wire::tcp(addr).await;
    pitaya.shake_hands(r#"{"sys":{"libVersion":"1"}}"#).await;
    let (flag, body) = pitaya.request(1, "No.such", b"{}").await;
    assert_eq!(
        (flag, serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"].clone()),
        (0x24, json!("PIT-404"))
    );
    node.stop().await;
}

#[tokio::test]
async fn text_of_old_javascript_clients_is_folded_in_and_escaped_out() {
    let app = App::new().route("Echo.text", |dunlin::Msg(text): dunlin::Msg<String>| async move {
        assert_eq!(text, "a😀");
        Ok(text)
    });
    let (node, addr) = serve(app).await;
    let mut wire = Wire::ws(addr).await;
    wire.shake_hands("{}").await;
    let (_, body) = wire.request(1, "Echo.text", b"\"a\xed\xa0\xbd\xed\xb8\x80\"").await;
    assert_eq!(body.to_ascii_lowercase(), br#""a\ud83d\ude00""#);
    node.stop().await;
}

#[tokio::test]
async fn a_thousand_connections_that_come_and_go_leave_nothing_behind() {
    let (node, addr) = serve(echo()).await;
    for _ in 0..10 {
        let mut wires = Vec::new();
        for i in 0..100 {
            let mut wire = if i % 2 == 0 { Wire::tcp(addr).await } else { Wire::ws(addr).await };
            wire.shake_hands("{}").await;
            wires.push(wire);
        }
        for wire in &mut wires {
            wire.request(1, "Echo.ping", b"x").await;
        }
    }
    eventually("all are gone", || node.stats().connections() == 0 && node.stats().sessions() == 0).await;
    let stats = node.stats();
    assert_eq!((stats.connections_opened, stats.sessions_opened, stats.sessions_closed), (1000, 1000, 1000));
    node.stop().await;
}

#[tokio::test]
async fn a_connection_over_the_limit_is_turned_away_and_counted() {
    let app = echo().configure(|gate| gate.connections_max = Some(2));
    let (node, addr) = serve(app).await;
    let mut first = Wire::tcp(addr).await;
    first.shake_hands("{}").await;
    let mut second = Wire::tcp(addr).await;
    second.shake_hands("{}").await;
    Wire::tcp(addr).await.expect_closed().await;
    assert_eq!(node.stats().connections_shed, 1);
    drop(second);
    eventually("room again", || node.stats().connections() == 1).await;
    Wire::tcp(addr).await.shake_hands("{}").await;
    node.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_refused_by_name_and_not_shared_by_accident() {
    let (node, addr) = serve(echo()).await;
    let error = echo().configure(|gate| gate.shards = 2).listen(addr).start().await.unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    node.stop().await;
}

/// Certificate files for `localhost`, and the certificate for a client to trust.
fn certificate(dir: &std::path::Path) -> (TlsFiles, rustls_pki_types::CertificateDer<'static>) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles::new(dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
    std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
    (files, signed.cert.der().clone())
}

/// An echo over TLS with blocking reads, on a thread that may block.
fn tls_echo(addr: std::net::SocketAddr, trusted: rustls_pki_types::CertificateDer<'static>) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let session =
        rustls::ClientConnection::new(std::sync::Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, std::net::TcpStream::connect(addr).unwrap());
    stream.sock.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let mut body = vec![0; usize::from(header[2]) << 8 | usize::from(header[3])];
    stream.read_exact(&mut body).unwrap();
    // Large enough to take many TLS records and more than one read of the server.
    let payload = vec![b'x'; 60_000];
    let mut message = b"\x00\x01\x09Echo.ping".to_vec();
    message.extend_from_slice(&payload);
    let mut packets = dunlin_wire::ACK_PACKET.to_vec();
    dunlin_wire::encode_packet(dunlin_wire::PacketKind::Data, &message, &mut packets).unwrap();
    stream.write_all(&packets).unwrap();
    // The first heartbeat, which follows the acknowledgement, then the answer.
    let mut answer = vec![0; 4 + 4 + 2 + payload.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..4], dunlin_wire::HEARTBEAT_PACKET);
    answer.split_off(10)
}

#[tokio::test]
async fn tls_serves_large_messages_and_new_certificates_after_a_reload() {
    let dir = std::env::temp_dir().join(format!("dunlin-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (files, first) = certificate(&dir);
    let app = App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) });
    let node = app.listen(Listen::tls("127.0.0.1:0", files)).start().await.unwrap();
    let addr = node.addrs()[0];
    let echoed = tokio::task::spawn_blocking(move || tls_echo(addr, first)).await.unwrap();
    assert_eq!(echoed, vec![b'x'; 60_000]);
    let (_, second) = certificate(&dir);
    node.reload_tls().unwrap();
    let echoed = tokio::task::spawn_blocking(move || tls_echo(addr, second)).await.unwrap();
    assert_eq!(echoed.len(), 60_000);
    // Plain bytes on a TLS address end the connection.
    let mut plain = Wire::tcp(addr).await;
    plain.send(b"\x01\x00\x00\x02{}").await;
    eventually("it is closed", || node.stats().connections() <= 1).await;
    node.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}
