//! A shard that is driven by hand: an application whose handlers wait for the test, and clients that speak packets.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dunlin_wire::ws::{self, Role, WsDecoder, WsEvent, WsLimits};
use dunlin_wire::{MessageHead, PacketDecoder, PacketKind, Route};

use super::super::{Shop, Turn};
use super::script::{Script, ScriptNet};
use crate::app::App;
use crate::service::{Raw, RouteOptions};
use crate::session::{CloseReason, SendQueue, Session, WhenFull};

/// What the test shares with the application's handlers.
#[derive(Clone, Default)]
pub(super) struct Desk {
    /// Sessions in the order in which they opened.
    pub(super) sessions: Arc<Mutex<Vec<Session>>>,
    /// Why sessions ended.
    pub(super) closed: Arc<Mutex<Vec<CloseReason>>>,
    /// Handlers of `Wait.*` take one permit each.
    pub(super) permits: Permits,
    /// Messages that handlers began with.
    pub(super) begun: Arc<Mutex<usize>>,
}

/// A semaphore that knows nothing of budgets of tasks.
#[derive(Clone, Default)]
pub(super) struct Permits(Arc<Mutex<(usize, Vec<Waker>)>>);

impl Permits {
    pub(super) fn add(&self, count: usize) {
        let mut permits = self.0.lock().unwrap();
        permits.0 += count;
        permits.1.drain(..).for_each(Waker::wake);
    }

    async fn take(&self) {
        std::future::poll_fn(|cx| {
            let mut permits = self.0.lock().unwrap();
            if permits.0 == 0 {
                permits.1.push(cx.waker().clone());
                return Poll::Pending;
            }
            permits.0 -= 1;
            Poll::Ready(())
        })
        .await;
    }
}

impl Desk {
    /// `Echo.now` answers at once, `Wait.turn` and `Wait.free` when the test permits, `Push.len` pushes as many bytes as
    /// it is asked for and answers with the payload.
    pub(super) fn app(&self) -> App {
        let (opened, closed) = (self.clone(), self.clone());
        let wait = |desk: Self| {
            move |Raw(body): Raw| {
                let desk = desk.clone();
                async move {
                    *desk.begun.lock().unwrap() += 1;
                    desk.permits.take().await;
                    Ok(Raw(body))
                }
            }
        };
        let echo = self.clone();
        App::new()
            .route("Echo.now", move |Raw(body): Raw| {
                *echo.begun.lock().unwrap() += 1;
                async move { Ok(Raw(body)) }
            })
            .route("Wait.turn", wait(self.clone()))
            .route_with("Wait.free", RouteOptions::default().concurrent(), wait(self.clone()))
            .route("Push.len", |session: Session, Raw(body): Raw| async move {
                let len = std::str::from_utf8(&body).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                for _ in 0..len / 1000 {
                    session.push_raw("onNote", vec![b'n'; 1000])?;
                }
                Ok(Raw(body))
            })
            .on_opened(move |session| opened.sessions.lock().unwrap().push(session.clone()))
            .on_closed(move |_, reason| closed.closed.lock().unwrap().push(reason.clone()))
            .configure(|gate| {
                // Schedules here are about budgets, not about how fast a client may speak.
                gate.messages_per_second_max = None;
                gate.send_queue =
                    SendQueue { bytes_max: 64 << 20, packets_max: 1 << 20, when_full: WhenFull::Disconnect };
            })
    }

    pub(super) fn begun(&self) -> usize {
        *self.begun.lock().unwrap()
    }
}

/// A shard over a scripted network.
pub(super) struct Rig {
    pub(super) script: Script,
    pub(super) desk: Desk,
    pub(super) shop: Shop<ScriptNet>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|app| app)
    }

    pub(super) fn with(change: impl FnOnce(App) -> App) -> Self {
        let (script, desk) = (Script::default(), Desk::default());
        let shop = Shop::new(ScriptNet(script.clone()), change(desk.app()).into_shard());
        Self { script, desk, shop }
    }

    pub(super) fn turn(&mut self) -> Turn {
        self.shop.turn(&mut Context::from_waker(Waker::noop())).unwrap()
    }

    /// Takes turns until there is nothing to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if matches!(self.turn(), Turn::Idle | Turn::Stopped) {
                return;
            }
        }
        panic!("the shard finds something to do for ever");
    }

    /// A client that came through its handshake.
    pub(super) fn open(&mut self) -> usize {
        let at = self.script.connect();
        self.script.send(at, b"\x01\x00\x00\x02{}");
        self.settle();
        self.script.send(at, &dunlin_wire::ACK_PACKET);
        self.settle();
        let kinds: Vec<_> = packets(&self.script.take_output(at)).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [PacketKind::Handshake, PacketKind::Heartbeat]);
        at
    }

    /// A client that came through its handshake over WebSocket.
    pub(super) fn open_websocket(&mut self) -> usize {
        let at = self.script.connect();
        self.script.send(at, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
        self.script
            .send(at, b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        for packet in [&b"\x01\x00\x00\x02{}"[..], &dunlin_wire::ACK_PACKET] {
            self.script.send(at, &framed(packet));
            self.settle();
        }
        let output = self.script.take_output(at);
        assert!(output.starts_with(b"HTTP/1.1 101 ") && output.ends_with(&dunlin_wire::HEARTBEAT_PACKET));
        at
    }

    pub(super) fn session(&self, at: usize) -> Session {
        self.desk.sessions.lock().unwrap()[at].clone()
    }

    /// Bytes of the connection that the socket did not take.
    pub(super) fn unsent(&mut self, at: usize) -> usize {
        let key = self.script.line(at, |line| line.key);
        let slot = key.and_then(|key| self.shop.table.get_mut(key));
        slot.and_then(|slot| slot.unsent.as_ref()).map_or(0, |unsent| unsent.bytes.len() - unsent.at)
    }

    pub(super) fn is_open(&self, at: usize) -> bool {
        self.script.line(at, |line| !line.is_dropped && !line.is_shut)
    }
}

/// A request as the client sends it.
pub(super) fn request(id: u64, route: &str, payload: &[u8]) -> Vec<u8> {
    let head = MessageHead::Request { id, route: Route::Name(route.into()) };
    let mut out = Vec::new();
    dunlin_wire::encode_data_packet(&head, false, payload, 1 << 20, &mut out).unwrap();
    out
}

/// Packets in one WebSocket message of a client.
pub(super) fn framed(packets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ws::encode_binary(&mut out, packets, Some([0x5a, 1, 0xff, 9]));
    out
}

/// The packets in the WebSocket messages of a server.
pub(super) fn unframed(mut bytes: Vec<u8>) -> Vec<u8> {
    let (mut input, mut decoder, mut out) = (&mut bytes[..], WsDecoder::new(), Vec::new());
    while let Some(event) = decoder.decode(&mut input, Role::Client, &WsLimits::DEFAULT).unwrap() {
        match event {
            WsEvent::Data { bytes, .. } => out.extend_from_slice(bytes),
            other => panic!("not expected: {other:?}"),
        }
    }
    out
}

/// Whole packets of a stream.
pub(super) fn packets(mut bytes: &[u8]) -> Vec<(PacketKind, Vec<u8>)> {
    let mut decoder = PacketDecoder::new();
    let mut packets = Vec::new();
    while let Some(packet) = decoder.decode(&mut bytes, 1 << 24).unwrap() {
        packets.push((packet.kind, packet.body.into_owned()));
    }
    packets
}

/// What a client is told: answers by id, and pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Answer(u64, Bytes),
    Push(Bytes),
}

/// The messages of a stream.
pub(super) fn told(bytes: &[u8]) -> Vec<Told> {
    let data = packets(bytes).into_iter().filter(|(kind, _)| *kind == PacketKind::Data);
    data.map(|(_, body)| {
        let message = dunlin_wire::decode_message(&body).unwrap();
        let payload = Bytes::copy_from_slice(message.payload);
        match message.head {
            MessageHead::Response { id, is_error } => {
                assert!(!is_error, "{payload:?}");
                Told::Answer(id, payload)
            }
            MessageHead::Push { .. } => Told::Push(payload),
            other => panic!("not for a client: {other:?}"),
        }
    })
    .collect()
}
