//! What the tests share: small applications, and clients that may send any bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin::{App, Node, Raw};
use dunlin_wire::ws::{self, Role, WsDecoder, WsEvent, WsLimits};
use dunlin_wire::{PacketDecoder, PacketKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An application that echoes on `Echo.ping`.
pub(crate) fn echo() -> App {
    App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
}

/// A list that handlers and hooks write and the test reads.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn note(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Serves an application on loopback.
pub(crate) async fn serve(app: App) -> (Node, SocketAddr) {
    let app = app.configure(|gate| {
        gate.shards = 2;
        // Clients of these tests often stay when they are told to go.
        gate.linger = Duration::from_millis(50);
    });
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let addr = node.addrs()[0];
    (node, addr)
}

/// Waits for a condition that another thread brings about.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// A client that sends what it is told, right or wrong, and reads whole packets.
pub(crate) struct Wire {
    stream: TcpStream,
    is_ws: bool,
    input: Vec<u8>,
    packets: PacketDecoder,
    frames: WsDecoder,
    ready: std::collections::VecDeque<(PacketKind, Vec<u8>)>,
    /// The code of the server's close frame, once it came.
    pub(crate) close_code: Option<u16>,
}

impl Wire {
    pub(crate) async fn tcp(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            is_ws: false,
            input: Vec::new(),
            packets: PacketDecoder::new(),
            frames: WsDecoder::new(),
            ready: Default::default(),
            close_code: None,
        }
    }

    /// Connects and upgrades, as a client that is no browser.
    pub(crate) async fn ws(addr: SocketAddr) -> Self {
        let mut wire = Self::tcp(addr).await;
        let status = wire.upgrade("").await;
        assert_eq!(status, 101);
        wire
    }

    /// Asks for an upgrade with more header lines and returns the status.
    pub(crate) async fn upgrade(&mut self, headers: &str) -> u16 {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: game.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        self.send(request.as_bytes()).await;
        let status = self.read_http_status().await;
        self.is_ws = status == 101;
        status
    }

    pub(crate) async fn read_http_status(&mut self) -> u16 {
        loop {
            if let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.input.drain(..end + 4).collect()).unwrap();
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
            assert!(self.fill().await, "closed before the answer");
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already, which the test sees when it reads.
        self.stream.write_all(bytes).await.ok();
    }

    /// Sends packet bytes in the connection's framing.
    pub(crate) async fn send_packet(&mut self, packet: &[u8]) {
        let mut bytes = Vec::new();
        if self.is_ws {
            ws::encode_binary(&mut bytes, packet, Some([1, 2, 3, 4]));
        } else {
            bytes.extend_from_slice(packet);
        }
        self.send(&bytes).await;
    }

    /// Handshake and acknowledgement; returns the server's answer.
    pub(crate) async fn shake_hands(&mut self, body: &str) -> serde_json::Value {
        let mut packet = Vec::new();
        dunlin_wire::encode_packet(PacketKind::Handshake, body.as_bytes(), &mut packet).unwrap();
        self.send_packet(&packet).await;
        let (kind, body) = self.recv().await.expect("an answer to the handshake");
        assert_eq!(kind, PacketKind::Handshake);
        self.send_packet(&dunlin_wire::ACK_PACKET).await;
        serde_json::from_slice(&body).unwrap()
    }

    /// Sends a message, given as the body of a data packet.
    pub(crate) async fn send_message(&mut self, message: &[u8]) {
        let mut packet = Vec::new();
        dunlin_wire::encode_packet(PacketKind::Data, message, &mut packet).unwrap();
        self.send_packet(&packet).await;
    }

    /// Sends a request and returns the flag byte and the payload of the next response.
    pub(crate) async fn request(&mut self, id: u8, route: &str, payload: &[u8]) -> (u8, Vec<u8>) {
        assert!(id < 128);
        let mut message = vec![0, id, u8::try_from(route.len()).unwrap()];
        message.extend_from_slice(route.as_bytes());
        message.extend_from_slice(payload);
        self.send_message(&message).await;
        self.response(id).await
    }

    /// The flag byte and the payload of the response to a request; other packets are passed over.
    pub(crate) async fn response(&mut self, id: u8) -> (u8, Vec<u8>) {
        loop {
            let (kind, body) = self.recv().await.expect("a response");
            if kind == PacketKind::Data && body[0] & 0x0e == 4 && body[1] == id {
                return (body[0], body[2..].to_vec());
            }
        }
    }

    /// The next packet; `None` at the end of the connection.
    pub(crate) async fn recv(&mut self) -> Option<(PacketKind, Vec<u8>)> {
        loop {
            if let Some(packet) = self.ready.pop_front() {
                return Some(packet);
            }
            let mut input = std::mem::take(&mut self.input);
            self.decode(&mut input);
            if self.ready.is_empty() && !self.fill().await {
                return None;
            }
        }
    }

    /// Reads to the end of the connection and returns what kinds of packets still came.
    pub(crate) async fn expect_closed(&mut self) -> Vec<PacketKind> {
        let mut kinds = Vec::new();
        while let Some((kind, _)) = self.recv().await {
            kinds.push(kind);
        }
        kinds
    }

    /// Reads to the end of the connection, whatever comes.
    pub(crate) async fn expect_end(&mut self) {
        while self.fill().await {}
    }

    fn decode(&mut self, bytes: &mut [u8]) {
        if !self.is_ws {
            return self.decode_packets(bytes);
        }
        let mut rest = bytes;
        loop {
            match self.frames.decode(&mut rest, Role::Client, &WsLimits::DEFAULT).unwrap() {
                None => return,
                Some(WsEvent::Data { bytes, .. }) => {
                    let mut bytes = bytes;
                    while let Some(packet) = self.packets.decode(&mut bytes, 1 << 24).unwrap() {
                        self.ready.push_back((packet.kind, packet.body.into_owned()));
                    }
                }
                Some(WsEvent::Close(frame)) => self.close_code = Some(frame.map_or(1005, |frame| frame.code)),
                Some(WsEvent::Ping(_) | WsEvent::Pong(_)) => {}
            }
        }
    }

    fn decode_packets(&mut self, mut bytes: &[u8]) {
        while let Some(packet) = self.packets.decode(&mut bytes, 1 << 24).unwrap() {
            self.ready.push_back((packet.kind, packet.body.into_owned()));
        }
    }

    /// Reads once; `false` at the end of the connection.
    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer))
            .await
            .expect("the server answers or closes");
        match read {
            Ok(0) | Err(_) => false,
            Ok(len) => {
                self.input.extend_from_slice(&buffer[..len]);
                true
            }
        }
    }
}
