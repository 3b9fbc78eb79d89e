//! A small server for the tests, built on `dunlin-wire`: what it does is chosen by the route that is called.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_wire::ws::{
    CloseFrame, CloseState, CloseStep, Role, WsDecoder, WsEvent, WsLimits, encode_accept, encode_binary,
    encode_close, encode_ping, encode_refusal, parse_request,
};
use dunlin_wire::{
    HEARTBEAT_PACKET, HandshakeRequest, HandshakeResponse, Message, MessageHead, Millis, Packet,
    PacketDecoder, PacketKind, Route, RouteDictionary, ServerEvent, ServerProtocol, ServerSys,
    decode_message, encode_data_packet, encode_kick, encode_packet,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What one server does.
#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    pub(crate) is_websocket: bool,
    pub(crate) heartbeat: Option<u32>,
    /// The code and words to refuse the handshake with.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// The status to refuse the upgrade with.
    pub(crate) upgrade_refusal: Option<u16>,
    /// Pushed together with the answer to the handshake.
    pub(crate) greeting: Option<&'static str>,
    /// Whether the server closes together with the answer to the handshake.
    pub(crate) is_brief: bool,
    pub(crate) dictionary: &'static [(&'static str, u16)],
    /// Whether the handshake is answered at all.
    pub(crate) is_mute: bool,
}

impl Behaviour {
    pub(crate) const WEBSOCKET: Self = Self {
        is_websocket: true,
        heartbeat: Some(30),
        refusal: None,
        upgrade_refusal: None,
        greeting: None,
        is_brief: false,
        dictionary: &[],
        is_mute: false,
    };
    pub(crate) const TCP: Self = Self { is_websocket: false, ..Self::WEBSOCKET };
}

/// What a server saw.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Upgrade {
        path: String,
        host: String,
        origin: Option<String>,
    },
    Handshake {
        user: Value,
        caps: Vec<String>,
    },
    Notified {
        route: String,
        payload: String,
    },
    Closed(Option<CloseFrame>),
    /// The connection is over.
    Gone,
}

/// A server on a port of the kernel's choice. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, None).await
    }

    pub(crate) async fn start_tls(behaviour: Behaviour, tls: Arc<rustls::ServerConfig>) -> Self {
        Self::start_with(behaviour, Some(tls.into())).await
    }

    async fn start_with(behaviour: Behaviour, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (behaviour, sender, tls) = (behaviour.clone(), sender.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(tcp, behaviour, sender).await,
                        Some(tls) => {
                            // A client that does not trust us breaks off.
                            if let Ok(stream) = tls.accept(tcp).await {
                                serve(stream, behaviour, sender).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, tasks }
    }

    /// The address for a client, such as `ws://127.0.0.1:…/path`.
    pub(crate) fn url(&self, scheme: &str) -> String {
        let path = if scheme.starts_with("ws") { "/path?query" } else { "" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Waits for something that `wanted` takes; what comes before is skipped.
    pub(crate) async fn wait_for<T>(&mut self, mut wanted: impl FnMut(Seen) -> Option<T>) -> T {
        loop {
            let seen = tokio::time::timeout(Duration::from_secs(10), self.seen.recv());
            if let Some(found) = wanted(seen.await.expect("seen in time").expect("server runs")) {
                return found;
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<S>(io: S, behaviour: Behaviour, seen: mpsc::UnboundedSender<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut peer = Peer {
        io,
        behaviour,
        seen: seen.clone(),
        ws: WsDecoder::new(),
        close: CloseState::Open,
        packets: PacketDecoder::new(),
        protocol: ServerProtocol::new(Millis::ZERO),
        out: Vec::new(),
    };
    // The client may be gone at any moment.
    peer.run().await.ok();
    seen.send(Seen::Gone).ok();
}

struct Peer<S> {
    io: S,
    behaviour: Behaviour,
    seen: mpsc::UnboundedSender<Seen>,
    ws: WsDecoder,
    close: CloseState,
    packets: PacketDecoder,
    protocol: ServerProtocol,
    out: Vec<u8>,
}

/// Whether to go on.
type Step = std::io::Result<bool>;

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn run(&mut self) -> std::io::Result<()> {
        let mut received = Vec::new();
        if self.behaviour.is_websocket {
            match self.upgrade().await? {
                Some(rest) => received = rest,
                None => return Ok(()),
            }
        }
        loop {
            if !self.handle_bytes(&mut received).await? {
                return self.io.shutdown().await;
            }
            received.resize(4096, 0);
            let len = self.io.read(&mut received).await?;
            received.truncate(len);
            if len == 0 {
                return Ok(());
            }
        }
    }

    async fn upgrade(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        loop {
            if self.io.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
            let Some((head, len)) = parse_request(&bytes).unwrap() else { continue };
            head.check_upgrade().unwrap();
            self.tell(Seen::Upgrade {
                path: head.path.to_owned(),
                host: head.host.unwrap().to_owned(),
                origin: head.origin.map(str::to_owned),
            });
            let mut out = Vec::new();
            match self.behaviour.upgrade_refusal {
                Some(status) => encode_refusal(status, "no", &mut out),
                None => encode_accept(head.websocket_key.unwrap(), &mut out),
            }
            self.io.write_all(&out).await?;
            bytes.drain(..len);
            return Ok(self.behaviour.upgrade_refusal.is_none().then_some(bytes));
        }
    }

    async fn handle_bytes(&mut self, received: &mut [u8]) -> Step {
        if !self.behaviour.is_websocket {
            return self.handle_packets(received).await;
        }
        let mut input = received;
        loop {
            let event = self.ws.decode(&mut input, Role::Server, &WsLimits::DEFAULT).unwrap();
            match event {
                None => return Ok(true),
                Some(WsEvent::Data { bytes, is_end, .. }) => {
                    let bytes = bytes.to_vec();
                    if !self.handle_packets(&bytes).await? {
                        return Ok(false);
                    }
                    assert!(!is_end || self.packets.is_idle(), "a message holds whole packets");
                }
                Some(WsEvent::Close(frame)) => {
                    let step = self.close.receive(frame.as_ref());
                    self.tell(Seen::Closed(frame));
                    if let CloseStep::Answer { code } = step {
                        let mut out = Vec::new();
                        encode_close(&mut out, code, "", None);
                        self.io.write_all(&out).await?;
                    }
                    return Ok(false);
                }
                Some(WsEvent::Pong(pong)) => {
                    let payload = String::from_utf8(pong.as_slice().to_vec()).unwrap();
                    self.tell(Seen::Notified { route: "pong".to_owned(), payload });
                }
                Some(WsEvent::Ping(_)) => panic!("this client sends no pings"),
            }
        }
    }

    async fn handle_packets(&mut self, bytes: &[u8]) -> Step {
        let mut input = bytes;
        let mut count = 0;
        while let Some(packet) = self.packets.decode(&mut input, 1 << 20).unwrap() {
            let packet = Packet { kind: packet.kind, body: Cow::Owned(packet.body.into_owned()) };
            count += 1;
            assert!(!self.behaviour.is_websocket || count == 1, "old servers take one packet in a message");
            if !self.handle_packet(packet).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn handle_packet(&mut self, packet: Packet<'static>) -> Step {
        match self.protocol.handle_packet(Millis::ZERO, packet).unwrap() {
            Some(ServerEvent::HandshakeRequested(body)) => self.shake_hands(&body).await,
            Some(ServerEvent::Heartbeat) => self.send(&HEARTBEAT_PACKET).await,
            Some(ServerEvent::Message(body)) => self.handle_message(&body).await,
            _ => Ok(true),
        }
    }

    async fn shake_hands(&mut self, body: &[u8]) -> Step {
        let request = HandshakeRequest::parse(body).unwrap();
        self.tell(Seen::Handshake { user: request.user.clone(), caps: request.sys.caps });
        if self.behaviour.is_mute {
            return Ok(true);
        }
        let dictionary = self.behaviour.dictionary.iter().map(|&(route, code)| (route.to_owned(), code));
        let mut response = HandshakeResponse {
            code: 200,
            sys: Some(ServerSys {
                heartbeat: self.behaviour.heartbeat,
                dict: Some(dictionary.collect()),
                ..ServerSys::default()
            }),
            user: Some(request.user),
            message: None,
        };
        if let Some((code, message)) = self.behaviour.refusal {
            response = HandshakeResponse { code, message: Some(message.to_owned()), ..response };
        }
        let mut body = Vec::new();
        response.encode(&mut body);
        let mut packet = Vec::new();
        encode_packet(PacketKind::Handshake, &body, &mut packet).unwrap();
        self.protocol.accept(Millis::ZERO);
        // All in one write, so that the client reads it at once.
        self.frame(&packet);
        if let Some(greeting) = self.behaviour.greeting {
            self.frame(&push("onGreeting", greeting.as_bytes()));
        }
        if self.behaviour.is_brief {
            return self.say_close(4002, "only this").await;
        }
        self.flush().await?;
        Ok(self.behaviour.refusal.is_none())
    }

    async fn handle_message(&mut self, body: &[u8]) -> Step {
        let Message { head, payload, .. } = decode_message(body).unwrap();
        match head {
            MessageHead::Request { id, route } => self.handle_request(id, &self.name(&route), payload).await,
            MessageHead::Notify { route } => {
                let payload = String::from_utf8(payload.to_vec()).unwrap();
                self.tell(Seen::Notified { route: self.name(&route), payload });
                Ok(true)
            }
            head => panic!("{head:?} from a client"),
        }
    }

    fn name(&self, route: &Route<'_>) -> String {
        match route {
            Route::Name(name) => name.to_string(),
            Route::Code(code) => {
                let pairs = self.behaviour.dictionary.iter().map(|&(route, code)| (route.to_owned(), code));
                let dictionary = RouteDictionary::from_pairs(pairs).unwrap();
                // Told apart, so that a test sees that the code was used.
                format!("#{}", dictionary.route(*code).unwrap())
            }
        }
    }

    async fn handle_request(&mut self, id: u64, route: &str, payload: &[u8]) -> Step {
        match route.trim_start_matches('#') {
            "Echo.echo" => self.send(&response(id, false, payload)).await,
            "Echo.route" => self.send(&response(id, false, route.as_bytes())).await,
            "Echo.empty" => self.send(&response(id, false, b"")).await,
            "Echo.fail" => {
                let error = br#"{"code":409,"details":{"seat":3},"message":"taken"}"#;
                self.send(&response(id, true, error)).await
            }
            "Echo.silent" => Ok(true),
            "Push.many" => {
                let count: usize = std::str::from_utf8(payload).unwrap().parse().unwrap();
                for index in 0..count {
                    self.frame(&push("onTick", index.to_string().as_bytes()));
                }
                self.frame(&response(id, false, b"null"));
                self.flush().await
            }
            "Ping.me" => {
                let ping = dunlin_wire::ws::Control::new(payload).unwrap();
                encode_ping(&mut self.out, &ping, None);
                self.send(&response(id, false, b"null")).await
            }
            "Bye.kick" => {
                let mut packet = Vec::new();
                encode_kick("logged in elsewhere", &mut packet).unwrap();
                self.frame(&packet);
                self.say_close(1000, "").await
            }
            "Bye.close" => self.say_close(4001, "good night").await,
            "Bye.drop" => Ok(false),
            "Bye.garbage" => self.send(&[9, 9, 9, 9]).await,
            "Bye.text" => {
                // A frame with a reserved bit.
                self.io.write_all(&[0xf2, 0]).await?;
                Ok(true)
            }
            route => panic!("no route {route}"),
        }
    }

    /// Sends what waits and a Close, and reads on: the client's Close ends the connection. TCP ends at once.
    async fn say_close(&mut self, code: u16, reason: &str) -> Step {
        if self.behaviour.is_websocket {
            assert!(self.close.send());
            encode_close(&mut self.out, code, reason, None);
        }
        self.flush().await?;
        Ok(self.behaviour.is_websocket)
    }

    async fn send(&mut self, packet: &[u8]) -> Step {
        self.frame(packet);
        self.flush().await
    }

    fn frame(&mut self, packet: &[u8]) {
        if self.behaviour.is_websocket {
            encode_binary(&mut self.out, packet, None);
        } else {
            self.out.extend_from_slice(packet);
        }
    }

    async fn flush(&mut self) -> Step {
        self.io.write_all(&self.out).await?;
        self.io.flush().await?;
        self.out.clear();
        Ok(true)
    }

    fn tell(&self, seen: Seen) {
        // The test may not care any more.
        self.seen.send(seen).ok();
    }
}

fn response(id: u64, is_error: bool, payload: &[u8]) -> Vec<u8> {
    data(&MessageHead::Response { id, is_error }, payload)
}

fn push(route: &str, payload: &[u8]) -> Vec<u8> {
    data(&MessageHead::Push { route: Route::Name(Cow::Borrowed(route)) }, payload)
}

fn data(head: &MessageHead<'_>, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    encode_data_packet(head, false, payload, 1 << 20, &mut packet).unwrap();
    packet
}
