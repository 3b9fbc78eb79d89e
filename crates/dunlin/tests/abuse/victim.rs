//! The gate that is attacked, and clients that send it what they like.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dunlin::{App, GateStats, Listen, Msg, Node, Raw, RouteOptions, TlsFiles};
use dunlin_wire::PacketKind;
use serde_json::Value;

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A gate with the limits it is born with, in plain text and under TLS.
pub(crate) struct Victim {
    node: Node,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    _files: tempfile::TempDir,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = TlsFiles::new(files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&tls.certificate, signed.cert.pem()).unwrap();
        std::fs::write(&tls.key, signed.signing_key.serialize_pem()).unwrap();
        let app = App::new()
            .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
            .route("Json.len", |Msg(value): Msg<Value>| async move { Ok(value.to_string().len()) })
            .route_with("Inner.secret", RouteOptions::default().internal(), || async { Ok("secret") })
            .notify_route("Echo.drop", |Raw(_): Raw| async {});
        let app = app.listen("127.0.0.1:0").listen(Listen::tls("127.0.0.1:0", tls));
        let node = app.start().await.unwrap();
        let (plain, tls) = (node.addrs()[0], node.addrs()[1]);
        Self { node, plain, tls, _files: files }
    }

    pub(crate) fn stats(&self) -> GateStats {
        self.node.stats()
    }

    pub(crate) async fn stop(self) -> GateStats {
        let stats = self.node.stats();
        self.node.stop().await;
        stats
    }

    /// Waits until only so many connections are left; tells whether that came to be in time.
    pub(crate) fn comes_down_to(&self, connections: u64, within: Duration) -> bool {
        let start = Instant::now();
        while self.stats().connections() > connections {
            if start.elapsed() > within {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.plain)
    }

    /// How long an honest client takes to come in and be answered; `None` when it is not.
    pub(crate) fn honest(&self) -> Option<Duration> {
        let start = Instant::now();
        let mut client = self.connect();
        client.come_in()?;
        client.ping()?;
        Some(start.elapsed())
    }
}

/// Bytes of memory this process really uses.
pub(crate) fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok()).unwrap_or_default() * 4096
}

/// Whole packets.
pub(crate) fn packet(kind: PacketKind, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    dunlin_wire::encode_packet(kind, body, &mut packet).unwrap();
    packet
}

/// A request, with its flags as they are given.
pub(crate) fn request(flags: u8, id: u8, route: &str, payload: &[u8]) -> Vec<u8> {
    let route_len = u8::try_from(route.len()).unwrap();
    packet(PacketKind::Data, &[&[flags, id, route_len], route.as_bytes(), payload].concat())
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Closed, after these bytes.
    Closed(Vec<u8>),
    /// Still open when the patience was over.
    Open,
}

/// A client that sends any bytes.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// Sends bytes; whether they are taken is seen by reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.socket.write_all(bytes).ok();
        self
    }

    /// Handshake and acknowledgement over packets.
    pub(crate) fn come_in(&mut self) -> Option<()> {
        self.send(&packet(PacketKind::Handshake, b"{}"));
        self.packet()?;
        self.send(&dunlin_wire::ACK_PACKET);
        // The first heartbeat.
        self.packet().map(drop)
    }

    /// A request that is answered.
    pub(crate) fn ping(&mut self) -> Option<Duration> {
        let start = Instant::now();
        self.send(&request(0, 1, "Echo.ping", b"x"));
        self.answer().filter(|body| body.last() == Some(&b'x')).map(|_| start.elapsed())
    }

    /// The next data packet's body.
    pub(crate) fn answer(&mut self) -> Option<Vec<u8>> {
        loop {
            let (kind, body) = self.packet()?;
            if kind == 4 {
                return Some(body);
            }
        }
    }

    fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 4];
        self.socket.read_exact(&mut header).ok()?;
        let mut body =
            vec![0; usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3])];
        self.socket.read_exact(&mut body).ok()?;
        Some((header[0], body))
    }

    /// Asks for an upgrade and comes in over WebSocket.
    pub(crate) fn upgrade(&mut self, headers: &str) -> Option<u16> {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: game.example:3250\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        self.send(request.as_bytes()).status()
    }

    /// The status of an answer in HTTP, whose head is read.
    pub(crate) fn status(&mut self) -> Option<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.socket.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        String::from_utf8(head).ok()?.split(' ').nth(1)?.parse().ok()
    }

    /// Reads to the end, for so long.
    pub(crate) fn end(&mut self, patience: Duration) -> End {
        let (start, mut heard) = (Instant::now(), Vec::new());
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return End::Open;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => return End::Closed(heard),
                Ok(len) => heard.extend_from_slice(&buffer[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return End::Open;
                }
                Err(_) => return End::Closed(heard),
            }
        }
    }

    /// The code of a WebSocket close frame at the end of what is heard.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        let End::Closed(heard) = self.end(PATIENCE) else { return None };
        let at = heard.iter().rposition(|byte| *byte == 0x88)?;
        Some(u16::from_be_bytes(heard.get(at + 2..at + 4)?.try_into().ok()?))
    }

    /// Says that nothing more comes.
    pub(crate) fn shut(&mut self) -> &mut Self {
        self.socket.shutdown(Shutdown::Write).ok();
        self
    }
}
