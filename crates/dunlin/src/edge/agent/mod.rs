//! One client connection as a state machine: bytes, outcomes of calls and ticks in; bytes, calls and an end out.
//!
//! Knows nothing of sockets. The turn feeds it and writes what it appends to [`Fx::out`].
//! `upgrade.rs` is the time before it is known what the client speaks, `handshake.rs` lets the client in,
//! `dispatch.rs` turns messages into calls and calls into answers, `leave.rs` ends it.
//!
//! Invariants: messages of a session start in the order they came, one after another unless their route is
//! concurrent; every request is answered once; at most `unanswered_max` messages are started or waiting, beyond
//! that no more bytes are taken; an agent that waits for nothing owns no buffer.

mod dispatch;
mod handshake;
mod leave;
mod upgrade;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_wire::ws::{Role, WsDecoder, WsEvent};
use dunlin_wire::{Liveness, Millis, PacketDecoder, ServerEvent, ServerProtocol};

use super::calls::{Aside, Done};
use super::{ShardHandle, SlotKey};
use crate::app::{Admission, Shared};
use crate::error::Error;
use crate::service::{CallKind, Reply, RouteEntry};
use crate::session::{CloseReason, Session};

/// Output beyond which an agent takes no more input in this turn; what is left is taken in the next.
const OUT_LEN_SOFT_MAX: usize = 256 * 1024;

/// User code that agents of a shard have started and that waits.
pub(crate) struct UserCode {
    pub(crate) calls: Aside<Result<Reply, Error>, CallLabel>,
    pub(crate) admissions: Aside<Admission, ()>,
}

/// Which answer a call's outcome belongs to.
pub(crate) struct CallLabel {
    entry: Arc<RouteEntry>,
    kind: CallKind,
    id: u64,
    is_ordered: bool,
}

/// What an agent may use and cause while it is fed.
pub(crate) struct Fx<'a> {
    pub(crate) now: Millis,
    pub(crate) key: SlotKey,
    pub(crate) shard: &'a Arc<ShardHandle>,
    pub(crate) user: &'a mut UserCode,
    /// Bytes for the socket, in order.
    pub(crate) out: &'a mut Vec<u8>,
    /// The socket takes nothing now: answers wait in the session's queue.
    pub(crate) is_blocked: bool,
    /// Set when the agent wants the time told earlier than it said at its last tick.
    pub(crate) tick_by: Option<Millis>,
    /// Where the client is; asked of the system, so only when it is needed.
    pub(crate) peer: &'a dyn Fn() -> Option<SocketAddr>,
}

impl Fx<'_> {
    fn app(&self) -> &Shared {
        &self.shard.app
    }
}

/// What the client speaks, and how far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Nothing has come yet.
    Sniffing,
    /// An HTTP request is coming.
    Head,
    Tcp,
    WebSocket,
    /// All is said: what is written still goes out, what comes is ignored.
    Leaving,
    /// The connection is to be dropped at once.
    Gone,
}

/// A message that waits for the ones before it.
struct Queued {
    entry: Arc<RouteEntry>,
    kind: CallKind,
    id: u64,
    body: Bytes,
}

/// What only a busy connection has.
#[derive(Default)]
struct Side {
    /// An HTTP head that is not complete.
    head: Vec<u8>,
    /// Packet bytes that were unwrapped from WebSocket frames and not taken.
    plain: Vec<u8>,
    /// Bytes as they came that were not taken.
    raw: Vec<u8>,
    queue: VecDeque<Queued>,
}

impl Side {
    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.plain.is_empty() && self.raw.is_empty() && self.queue.is_empty()
    }
}

/// One client connection.
pub(crate) struct Agent {
    protocol: ServerProtocol,
    packets: PacketDecoder,
    frames: WsDecoder,
    session: Option<Session>,
    side: Option<Box<Side>>,
    /// When something must have happened: the handshake, then the next heartbeat, then the peer's end.
    deadline: Millis,
    unanswered: u16,
    link: Link,
    /// An ordered call is running.
    is_busy: bool,
    is_opened: bool,
    is_draining: bool,
}

impl Agent {
    pub(crate) fn new(now: Millis, app: &Shared) -> Self {
        Self {
            protocol: ServerProtocol::new(now),
            packets: PacketDecoder::new(),
            frames: WsDecoder::new(),
            session: None,
            side: None,
            deadline: now.plus(app.gate.handshake_timeout_ms),
            unanswered: 0,
            link: Link::Sniffing,
            is_busy: false,
            is_opened: false,
            is_draining: false,
        }
    }

    /// The session, once there is one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Whether the connection is only there to be ended properly.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.link, Link::Leaving | Link::Gone)
    }

    /// Whether the connection can be dropped at once.
    pub(crate) fn is_gone(&self) -> bool {
        self.link == Link::Gone
    }

    /// Whether more bytes may be given; if not, the socket should not be read.
    pub(crate) fn takes_input(&self, app: &Shared) -> bool {
        self.could_take(app) && !self.has_leftover()
    }

    /// Whether another message may be taken, from what is left over or from the socket.
    pub(crate) fn could_take(&self, app: &Shared) -> bool {
        self.unanswered < app.gate.unanswered_max && !self.is_draining
    }

    /// Whether bytes wait that were given and not taken.
    pub(crate) fn has_leftover(&self) -> bool {
        self.side.as_ref().is_some_and(|side| !side.plain.is_empty() || !side.raw.is_empty())
    }

    /// Takes what the socket brought. `input` is unmasked in place.
    pub(crate) fn handle_bytes(&mut self, input: &mut [u8], fx: &mut Fx<'_>) {
        match self.link {
            Link::Sniffing => self.sniff(input, fx),
            Link::Head => self.handle_head(input, fx),
            Link::Tcp => {
                let left = self.feed_packets(input, fx);
                self.keep_leftover(left, &[]);
            }
            Link::WebSocket => self.feed_frames(input, fx),
            Link::Leaving | Link::Gone => {}
        }
    }

    /// Takes what was left when too much was unanswered or too much output had gathered.
    pub(crate) fn handle_leftover(&mut self, fx: &mut Fx<'_>) {
        if !self.has_leftover() || self.is_full(fx) {
            return;
        }
        let Some(side) = self.side.as_mut() else { return };
        let plain = std::mem::take(&mut side.plain);
        let mut raw = std::mem::take(&mut side.raw);
        let left = self.feed_packets(&plain, fx);
        if left.is_empty() {
            self.handle_bytes(&mut raw, fx);
        } else {
            self.keep_leftover(left, &raw);
        }
        self.drop_empty_side();
    }

    /// Takes the time. Returns when it wants to be told again.
    pub(crate) fn handle_tick(&mut self, fx: &mut Fx<'_>) -> Millis {
        let interval_ms = fx.app().gate.heartbeat_interval_ms;
        if self.link == Link::Leaving {
            if fx.now >= self.deadline {
                self.link = Link::Gone;
            }
            return self.deadline;
        }
        if !self.protocol.is_working() {
            if fx.now >= self.deadline {
                self.miss_deadline(fx);
            }
            return self.deadline;
        }
        if fx.now >= self.deadline {
            self.deadline = fx.now.plus(interval_ms.max(1));
            self.beat(interval_ms, fx);
        } else if fx.now > self.protocol.dead_after(interval_ms) {
            self.beat(interval_ms, fx);
        }
        self.deadline.min(self.protocol.dead_after(interval_ms).plus(1))
    }

    /// Sends a heartbeat, or gives up a client of whom nothing was heard. A blocked connection is left to the deadline
    /// of its writes: it is not read, so nothing can be heard of it.
    fn beat(&mut self, interval_ms: u64, fx: &mut Fx<'_>) {
        if fx.is_blocked {
            return;
        }
        match self.protocol.handle_tick(fx.now, interval_ms) {
            Some(Liveness::Dead) => self.leave(&CloseReason::Silent, fx),
            Some(Liveness::SendHeartbeat) => self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx),
            None => {}
        }
    }

    /// The socket accepted bytes after it had been full, which is a sign of life while reading is paused.
    pub(crate) fn handle_write_progress(&mut self, now: Millis) {
        self.protocol.handle_life(now);
    }

    /// Stops taking messages; the agent leaves when what was started is answered.
    pub(crate) fn begin_drain(&mut self, fx: &mut Fx<'_>) {
        self.is_draining = true;
        if let Some(side) = self.side.as_mut() {
            side.plain.clear();
            side.raw.clear();
        }
        self.leave_if_drained(fx);
    }

    /// Takes packets from `bytes` until they are used up or no more may be taken; returns the rest.
    fn feed_packets<'a>(&mut self, mut bytes: &'a [u8], fx: &mut Fx<'_>) -> &'a [u8] {
        let body_len_max = fx.app().gate.packet_body_in_max;
        while !self.is_leaving() && !self.is_full(fx) {
            match self.packets.decode(&mut bytes, body_len_max) {
                Ok(Some(packet)) => match self.protocol.handle_packet(fx.now, packet) {
                    Ok(Some(event)) => self.handle_event(event, fx),
                    Ok(None) => {}
                    Err(error) => self.leave(&CloseReason::Protocol { fault: error.to_string() }, fx),
                },
                Ok(None) => return &[],
                Err(error) => self.leave(&CloseReason::Protocol { fault: error.to_string() }, fx),
            }
        }
        bytes
    }

    fn handle_event(&mut self, event: ServerEvent<'_>, fx: &mut Fx<'_>) {
        match event {
            ServerEvent::Message(body) => self.handle_message(&body, fx),
            ServerEvent::Heartbeat => {
                self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx);
                self.protocol.handle_heartbeat_sent(fx.now);
            }
            ServerEvent::HandshakeRequested(body) => self.handle_handshake(&body, fx),
            ServerEvent::Established => {
                self.is_opened = true;
                // At once, because some clients begin to send theirs only after the first of ours.
                self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx);
                self.deadline = fx.now.plus(fx.app().gate.heartbeat_interval_ms);
                fx.tick_by = Some(self.deadline);
                if let Some(session) = &self.session {
                    fx.app().hooks.opened(session, &fx.app().stats);
                }
            }
        }
    }

    fn feed_frames(&mut self, mut input: &mut [u8], fx: &mut Fx<'_>) {
        let limits = fx.app().gate.ws_limits;
        while !self.is_leaving() {
            if self.is_full(fx) {
                self.keep_leftover(&[], input);
                return;
            }
            match self.frames.decode(&mut input, Role::Server, &limits) {
                Ok(Some(WsEvent::Data { bytes, .. })) => {
                    let left = self.feed_packets(bytes, fx);
                    if !left.is_empty() {
                        self.keep_leftover(left, input);
                        return;
                    }
                }
                Ok(Some(WsEvent::Ping(payload))) => {
                    self.protocol.handle_life(fx.now);
                    dunlin_wire::ws::encode_pong(fx.out, &payload, None);
                }
                Ok(Some(WsEvent::Pong(_))) => self.protocol.handle_life(fx.now),
                Ok(Some(WsEvent::Close(frame))) => self.handle_close_frame(frame.as_ref(), fx),
                Ok(None) => return,
                Err(error) => self.leave_with_code(
                    &CloseReason::Protocol { fault: error.to_string() },
                    error.close_code(),
                    fx,
                ),
            }
        }
    }

    /// Whether nothing more may be taken now.
    fn is_full(&self, fx: &Fx<'_>) -> bool {
        self.unanswered >= fx.app().gate.unanswered_max
            || fx.out.len() >= OUT_LEN_SOFT_MAX
            || self.is_draining
    }

    fn keep_leftover(&mut self, plain: &[u8], raw: &[u8]) {
        if (plain.is_empty() && raw.is_empty()) || self.is_leaving() || self.is_draining {
            return;
        }
        let side = self.side.get_or_insert_default();
        // Over TCP there is no framing to undo: what is left is packet bytes either way.
        side.plain.extend_from_slice(plain);
        side.raw.extend_from_slice(raw);
    }

    fn drop_empty_side(&mut self) {
        if self.side.as_ref().is_some_and(|side| side.is_empty()) {
            self.side = None;
        }
    }

    /// Appends one whole packet in the client's framing.
    fn write_packet(&self, packet: &[u8], fx: &mut Fx<'_>) {
        write_framed(self.link, packet, fx.out);
    }

    /// Takes the session's queued packets into the output, and leaves if the session is to end after them.
    pub(crate) fn drain_session(&mut self, fx: &mut Fx<'_>) {
        if let Some(reason) = self.take_output(fx) {
            self.leave(&reason, fx);
        }
    }

    /// Takes what the session has queued into the output; returns why it is to end, once all of it is taken.
    fn take_output(&self, fx: &mut Fx<'_>) -> Option<CloseReason> {
        let session = self.session.as_ref()?;
        if fx.is_blocked || !session.has_output() || self.is_leaving() {
            return None;
        }
        session.clear_dirty();
        let link = self.link;
        let reason = session.take_output(|queued| {
            write_framed(link, &queued.packet, fx.out);
            fx.out.len() < OUT_LEN_SOFT_MAX
        });
        if reason.is_none() && fx.out.len() >= OUT_LEN_SOFT_MAX {
            // Perhaps not all was taken: the mark is raised again, so that the next turn looks.
            session.raise_dirty();
        }
        reason
    }

    /// Takes the outcome of a call that had to wait.
    pub(crate) fn handle_done(&mut self, done: Done<Result<Reply, Error>, CallLabel>, fx: &mut Fx<'_>) {
        if self.is_leaving() {
            return;
        }
        let Done { label, outcome, .. } = done;
        self.unanswered = self.unanswered.saturating_sub(1);
        if label.is_ordered {
            self.is_busy = false;
        }
        self.answer_outcome(&label.entry, (label.kind, label.id), outcome, fx);
        self.start_queued(fx);
        self.handle_leftover(fx);
        self.leave_if_drained(fx);
    }
}

/// Appends a packet as it is, or as one binary WebSocket message.
fn write_framed(link: Link, packet: &[u8], out: &mut Vec<u8>) {
    if link == Link::WebSocket {
        dunlin_wire::ws::encode_binary(out, packet, None);
    } else {
        out.extend_from_slice(packet);
    }
}
