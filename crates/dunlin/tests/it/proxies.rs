//! Listeners behind proxies: a connection begins with who its client is, and with nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin::{App, GateConfig, Listen, Node, Session};

use crate::support::{Wire, eventually};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 for a client with an IPv4 address.
pub(crate) fn header(client: [u8; 4], port: u16) -> Vec<u8> {
    let mut header = [SIGNATURE, b"\x21\x11\x00\x0c", &client[..], &[10, 0, 0, 1]].concat();
    header.extend(port.to_be_bytes());
    header.extend([0x0c, 0xb2]);
    header
}

async fn serve(proxies: &[&str], change: impl FnOnce(&mut GateConfig)) -> (Node, SocketAddr) {
    let app = App::new().route("Who.am_i", |session: Session| async move {
        Ok(session.remote_addr().map(|addr| addr.to_string()))
    });
    let listen = Listen::plain("127.0.0.1:0").proxy_protocol(proxies.iter().copied());
    let node = app.configure(change).listen(listen).start().await.unwrap();
    let addr = node.addrs()[0];
    (node, addr)
}

/// Comes through a proxy; `None` when the connection is closed instead.
async fn come(addr: SocketAddr, header: &[u8]) -> Option<(Wire, String)> {
    let mut wire = Wire::tcp(addr).await;
    wire.send(header).await;
    wire.send(b"\x01\x00\x00\x02{}").await;
    wire.recv().await?;
    wire.send(&dunlin_wire::ACK_PACKET).await;
    let (_, body) = wire.request(1, "Who.am_i", b"{}").await;
    let from = String::from_utf8(body).unwrap().trim_matches('"').to_owned();
    Some((wire, from))
}

#[tokio::test]
async fn a_session_is_where_the_proxy_says_its_client_is() {
    let (node, addr) = serve(&["127.0.0.0/8"], |_| {}).await;
    let (_wire, from) = come(addr, &header([203, 0, 113, 7], 40_000)).await.unwrap();
    assert_eq!(from, "203.0.113.7:40000");
    // The proxy's own connections, by which it looks whether somebody is there.
    let (_wire, from) = come(addr, &[SIGNATURE, b"\x20\x00\x00\x00"].concat()).await.unwrap();
    assert!(from.starts_with("127.0.0.1:"), "{from}");
    // A browser behind it, and a header that comes byte by byte.
    let mut wire = Wire::tcp(addr).await;
    for byte in header([203, 0, 113, 8], 1) {
        wire.send(&[byte]).await;
    }
    assert_eq!(wire.upgrade("").await, 101);
    wire.shake_hands("{}").await;
    let (_, body) = wire.request(1, "Who.am_i", b"{}").await;
    assert_eq!(body, b"\"203.0.113.8:1\"");
    node.stop().await;
}

#[tokio::test]
async fn without_a_header_of_version_2_a_connection_is_closed_and_counted() {
    let (node, addr) = serve(&["127.0.0.1"], |_| {}).await;
    let tries: [&[u8]; 4] = [
        b"",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 3250\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ];
    for bytes in tries {
        assert!(come(addr, bytes).await.is_none(), "{bytes:?}");
    }
    eventually("all are gone", || node.stats().connections() == 0).await;
    assert_eq!(node.stats().connections_shed, 4);
    node.stop().await;
}

#[tokio::test]
async fn a_header_that_does_not_end_is_closed_by_the_handshakes_deadline() {
    let (node, addr) =
        serve(&["127.0.0.1"], |gate| gate.handshake_timeout = Duration::from_millis(300)).await;
    let mut wire = Wire::tcp(addr).await;
    wire.send(&header([203, 0, 113, 7], 1)[..20]).await;
    wire.expect_end().await;
    assert_eq!(node.stats().handshakes_timed_out, 1);
    node.stop().await;
}

#[tokio::test]
async fn who_is_no_proxy_is_closed_whatever_it_says() {
    let (node, addr) = serve(&["10.0.0.0/8", "fd00::/8", "192.0.2.1"], |_| {}).await;
    assert!(come(addr, &header([203, 0, 113, 7], 1)).await.is_none());
    assert_eq!(node.stats().connections_shed, 1);
    node.stop().await;
    let listen = Listen::plain("127.0.0.1:0").proxy_protocol(["10.0.0.0/33"]);
    let error = App::new().listen(listen).start().await.unwrap_err();
    assert_eq!(error.to_string(), "`10.0.0.0/33` is no address and no network of proxies");
}

#[tokio::test]
async fn limits_of_an_address_are_those_of_the_client_and_not_of_the_proxy() {
    let (node, addr) = serve(&["127.0.0.1"], |gate| {
        gate.connections_per_address_max = Some(1);
        gate.connections_per_private_address_max = Some(1);
    })
    .await;
    let ann = come(addr, &header([203, 0, 113, 7], 1)).await.unwrap();
    let _bob = come(addr, &header([203, 0, 113, 8], 1)).await.unwrap();
    assert!(come(addr, &header([203, 0, 113, 7], 2)).await.is_none(), "Ann is here already");
    assert_eq!(node.stats().connections_shed, 1);
    drop(ann);
    eventually("Ann is gone", || node.stats().connections() == 1).await;
    assert!(come(addr, &header([203, 0, 113, 7], 3)).await.is_some());
    node.stop().await;
}
