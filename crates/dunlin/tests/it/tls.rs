//! TLS at its corners: half a handshake, slow readers, ends inside the session.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dunlin::{App, Listen, Node, Raw, SendQueue, Session, TlsFiles, WhenFull};
use dunlin_wire::PacketDecoder;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{PATIENCE, eventually};

type Stream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A directory that goes with the test.
struct Dir(std::path::PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        // A directory that stays harms nobody.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

async fn serve(app: App, name: &str) -> (Node, SocketAddr, CertificateDer<'static>) {
    serve_on(app, name, |listen| listen).await
}

async fn serve_on(
    app: App,
    name: &str,
    change: impl FnOnce(Listen) -> Listen,
) -> (Node, SocketAddr, CertificateDer<'static>) {
    let dir = Dir(std::env::temp_dir().join(format!("dunlin-{name}-{}", std::process::id())));
    std::fs::create_dir_all(&dir.0).unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles::new(dir.0.join("cert.pem"), dir.0.join("key.pem"));
    std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
    std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
    let app = app.configure(|gate| gate.linger = Duration::from_millis(200));
    let node = app.listen(change(Listen::tls("127.0.0.1:0", files))).start().await.unwrap();
    let addr = node.addrs()[0];
    (node, addr, signed.cert.der().clone())
}

/// A blocking client that came through both handshakes.
fn connect(addr: SocketAddr, trusted: CertificateDer<'static>) -> Stream {
    connect_over(TcpStream::connect(addr).unwrap(), trusted)
}

/// The same over a connection that has begun.
fn connect_over(socket: TcpStream, trusted: CertificateDer<'static>) -> Stream {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))]).unwrap();
    stream.write_all(&dunlin_wire::ACK_PACKET).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    dunlin_wire::encode_packet(dunlin_wire::PacketKind::Data, body, &mut packet).unwrap();
    packet
}

#[tokio::test]
async fn a_proxy_says_whose_it_is_before_the_handshake_of_tls() {
    let app = App::new().route("Who.am_i", |session: Session| async move {
        Ok(session.remote_addr().map(|addr| addr.to_string()))
    });
    let (node, addr, trusted) = serve_on(app, "proxied", |listen| listen.proxy_protocol(["127.0.0.1"])).await;
    let heard = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(addr).unwrap();
        socket.write_all(&crate::proxies::header([203, 0, 113, 7], 40_000)).unwrap();
        let mut stream = connect_over(socket, trusted);
        stream.write_all(&message(b"\x00\x01\x08Who.am_i{}")).unwrap();
        let mut answer = [0; 4 + 2 + "\"203.0.113.7:40000\"".len()];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert!(heard.await.unwrap().ends_with("\"203.0.113.7:40000\""));
    node.stop().await;
}

#[tokio::test]
async fn half_a_client_hello_then_silence_is_closed_by_the_deadline() {
    let app = App::new().configure(|gate| gate.handshake_timeout = Duration::from_millis(300));
    let (node, addr, _) = serve(app, "half").await;
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half of it").await.unwrap();
    // Perhaps an alert, then a close, with or without a reset.
    let closed = async { while stream.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("it is closed");
    eventually("it is gone", || node.stats().connections() == 0).await;
    assert_eq!(node.stats().handshakes_timed_out, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_large_burst_of_pushes_reaches_a_slow_reader_whole_and_in_order() {
    const PUSHES: u32 = 2000;
    let queue = SendQueue { bytes_max: 64 << 20, packets_max: 1 << 20, when_full: WhenFull::Disconnect };
    let app = App::new()
        .route("Burst.now", |session: Session| async move {
            for number in 0..PUSHES {
                let mut body = vec![0; 4096];
                body[..4].copy_from_slice(&number.to_be_bytes());
                session.push_raw("onPart", body)?;
            }
            Ok(Raw("done".into()))
        })
        .configure(|gate| gate.send_queue = queue);
    let (node, addr, trusted) = serve(app, "burst").await;
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = connect(addr, trusted);
        stream.write_all(&message(b"\x00\x01\x09Burst.now{}")).unwrap();
        let (mut decoder, mut next, mut buffer) = (PacketDecoder::new(), 0_u32, vec![0; 20_000]);
        loop {
            // Slowly enough that the server's socket is full most of the time.
            std::thread::sleep(Duration::from_micros(300));
            let len = stream.read(&mut buffer).unwrap();
            assert!(len > 0, "closed after {next} pushes");
            let mut bytes = &buffer[..len];
            while let Some(packet) = decoder.decode(&mut bytes, 1 << 20).unwrap() {
                let message = dunlin_wire::decode_message(&packet.body).unwrap();
                if message.payload == b"done" {
                    return next;
                }
                assert_eq!(message.payload[..4], next.to_be_bytes());
                next += 1;
            }
        }
    });
    assert_eq!(read.await.unwrap(), PUSHES);
    node.stop().await;
}

#[tokio::test]
async fn an_end_within_tls_ends_the_session_although_the_socket_stays_open() {
    let app = App::new().notify_route("Log.line", |Raw(_): Raw| async {});
    let (node, addr, trusted) = serve(app, "notify").await;
    let stream = tokio::task::spawn_blocking(move || {
        let mut stream = connect(addr, trusted);
        // The last message and the goodbye in one flight.
        stream.conn.writer().write_all(&message(b"\x02\x08Log.line{}")).unwrap();
        stream.conn.send_close_notify();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut stream.sock).unwrap();
        }
        stream
    });
    let stream = stream.await.unwrap();
    eventually("the session is over", || node.stats().connections() == 0).await;
    assert_eq!(node.stats().messages_in, 1);
    drop(stream);
    node.stop().await;
}
