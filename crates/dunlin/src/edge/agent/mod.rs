//! One client connection as a state machine: bytes, outcomes of calls and ticks in; bytes, calls and an end out.
//!
//! Knows nothing of sockets. The turn feeds it and writes what it appends to [`Fx::out`].
//! `upgrade.rs` is the time before it is known what the client speaks, `handshake.rs` lets the client in,
//! `dispatch.rs` turns messages into calls and calls into answers, `leftover.rs` keeps what could not be taken at
//! once, `flood.rs` says how fast the client may speak, `leave.rs` ends it.
//!
//! Invariants: messages of a session start in the order they came, one after another unless their route is
//! concurrent; every request is answered once; at most `unanswered_max` messages are started or waiting, beyond
//! that no more bytes are taken; nothing is started while the socket takes nothing; an agent that waits for nothing
//! owns no buffer.

mod dispatch;
mod flood;
mod handshake;
mod leave;
mod leftover;
#[cfg(test)]
mod tests;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_wire::ws::{Role, WsDecoder, WsEvent};
use dunlin_wire::{Liveness, Millis, PacketDecoder, ServerEvent, ServerProtocol};

pub(crate) use self::flood::FloodLimit;
use self::flood::{Flood, Spoken};
use self::leftover::{Left, Side};
use super::calls::{Aside, Done};
use super::{ShardHandle, SlotKey};
use crate::app::{Admission, Shared};
use crate::error::Error;
use crate::service::{CallKind, Reply, RouteEntry, Starters};
use crate::session::{CloseReason, Session};

/// Output beyond which an agent takes no more input in this turn; what is left is taken in the next.
const OUT_LEN_SOFT_MAX: usize = 256 * 1024;
/// Bytes of messages that wait for the ones before them, beyond which an agent takes no more input.
const QUEUED_LEN_SOFT_MAX: usize = 256 * 1024;

/// A client's heartbeats that are answered at once in one interval, which gives it its round trip. Beyond that it is
/// one that answers our answers, and the two sides would never stop.
const ANSWERED_BEATS_MAX: u8 = 128;

/// User code that agents of a shard have started and that waits.
pub(crate) struct UserCode {
    pub(crate) calls: Aside<Result<Reply, Error>, CallLabel>,
    pub(crate) starters: Starters,
    /// Validators, each with the extensions its client is granted.
    pub(crate) admissions: Aside<Admission, Vec<String>>,
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
    /// Packets that may still be taken in this part of the turn, so that timers and other connections are on time.
    pub(crate) credit: &'a mut u32,
    /// Set when the agent wants the time told earlier than it said at its last tick.
    pub(crate) tick_by: Option<Millis>,
    /// Where the client is; asked of the system, so only when it is needed.
    pub(crate) peer: &'a dyn Fn() -> Option<SocketAddr>,
}

impl Fx<'_> {
    fn app(&self) -> &Shared {
        &self.shard.app
    }

    /// Has the agent told the time by then at the latest.
    fn wake_by(&mut self, at: Millis) {
        self.tick_by = Some(self.tick_by.map_or(at, |by| by.min(at)));
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

/// One client connection.
pub(crate) struct Agent {
    protocol: ServerProtocol,
    packets: PacketDecoder,
    frames: WsDecoder,
    session: Option<Session>,
    side: Option<Box<Side>>,
    /// When something must have happened: the handshake before it, the peer's end after leaving, the last of the
    /// output while ending.
    deadline: Millis,
    /// How fast it has spoken.
    flood: Flood,
    unanswered: u16,
    /// Heartbeats answered since the last tick.
    answered_beats: u8,
    link: Link,
    /// An ordered call is running.
    is_busy: bool,
    is_opened: bool,
    is_draining: bool,
    /// It spoke too fast and is not read until it may speak again.
    is_paused: bool,
    /// The session is to end and its socket takes nothing: it has until the deadline.
    is_ending: bool,
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
            flood: Flood::default(),
            unanswered: 0,
            answered_beats: 0,
            link: Link::Sniffing,
            is_busy: false,
            is_opened: false,
            is_draining: false,
            is_paused: false,
            is_ending: false,
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
        self.could_take(app) && !self.has_leftover() && !self.has_startable()
    }

    /// Whether it could go on at once with something that no news will announce.
    pub(crate) fn wants_turn(&self, is_unread: bool, app: &Shared) -> bool {
        self.has_startable() || ((is_unread || self.has_leftover()) && self.could_take(app))
    }

    /// Whether another message may be taken, from what is left over or from the socket.
    fn could_take(&self, app: &Shared) -> bool {
        self.unanswered < app.gate.unanswered_max
            && !self.is_draining
            && !self.is_paused
            && !self.is_queue_full()
    }

    /// Takes what the socket brought. `input` is unmasked in place.
    pub(crate) fn handle_bytes(&mut self, input: &mut [u8], fx: &mut Fx<'_>) {
        match self.link {
            Link::Sniffing => self.sniff(input, fx),
            Link::Head => self.handle_head(input, fx),
            Link::Tcp | Link::WebSocket => {
                let left = self.feed(input, fx);
                self.keep_leftover(input, left);
            }
            Link::Leaving | Link::Gone => {}
        }
    }

    /// Takes packets or frames from `input` until they are used up or no more may be taken; tells what is left.
    fn feed(&mut self, input: &mut [u8], fx: &mut Fx<'_>) -> Left {
        if self.link == Link::WebSocket {
            return self.feed_frames(input, fx);
        }
        Left { plain: self.feed_packets(input, fx).len(), raw: 0 }
    }

    /// Takes the time. Returns when it wants to be told again.
    pub(crate) fn handle_tick(&mut self, fx: &mut Fx<'_>) -> Millis {
        let resume_at = self.flood.resume_at(&fx.app().gate.flood);
        self.is_paused &= fx.now < resume_at;
        let wanted = self.judge(fx);
        if self.is_paused { wanted.min(resume_at) } else { wanted }
    }

    /// Ends what is too late, and keeps alive what is not. Returns when to look again.
    fn judge(&mut self, fx: &mut Fx<'_>) -> Millis {
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
        if self.is_ending && fx.now >= self.deadline {
            let reason = self.session.as_ref().and_then(Session::closing).unwrap_or(CloseReason::TooSlow);
            self.vanish(&reason, fx);
            return self.deadline;
        }
        let wanted = self.keep_alive(interval_ms, fx);
        if self.is_ending { wanted.min(self.deadline) } else { wanted }
    }

    /// Sends a heartbeat when it is due, and gives up on a client that is silent. Returns when to look again.
    fn keep_alive(&mut self, interval_ms: u64, fx: &mut Fx<'_>) -> Millis {
        self.answered_beats = 0;
        if interval_ms == 0 {
            return Millis::MAX;
        }
        if fx.is_blocked {
            // A heartbeat would only wait behind the rest, and what judges the client is whether it takes that.
            return fx.now.plus((interval_ms / 4).max(1));
        }
        if !self.takes_input(fx.app()) {
            // It is not read, so its silence says nothing.
            self.protocol.handle_life(fx.now);
        }
        match self.protocol.handle_tick(fx.now, interval_ms) {
            Some(Liveness::Dead) => {
                self.leave(&CloseReason::Silent, fx);
                return self.deadline;
            }
            Some(Liveness::SendHeartbeat) => self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx),
            None => {}
        }
        self.protocol.next_tick(interval_ms)
    }

    /// The socket accepted bytes after it had been full, which is a sign of life while reading is paused.
    pub(crate) fn handle_write_progress(&mut self, now: Millis) {
        self.protocol.handle_life(now);
    }

    /// Stops taking messages; the agent leaves when what was started is answered.
    pub(crate) fn begin_drain(&mut self, fx: &mut Fx<'_>) {
        self.is_draining = true;
        self.forget_leftover();
        self.leave_if_drained(fx);
    }

    /// Takes packets from `bytes` until they are used up or no more may be taken; returns the rest.
    fn feed_packets<'a>(&mut self, mut bytes: &'a [u8], fx: &mut Fx<'_>) -> &'a [u8] {
        let body_len_max = fx.app().gate.packet_body_in_max;
        while !self.is_leaving() && !self.is_full(fx) {
            *fx.credit = fx.credit.saturating_sub(1);
            match self.packets.decode(&mut bytes, body_len_max) {
                Ok(Some(_)) if !self.may_speak(fx) => {}
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
            ServerEvent::Heartbeat if self.answered_beats < ANSWERED_BEATS_MAX => {
                self.answered_beats += 1;
                self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx);
                self.protocol.handle_heartbeat_sent(fx.now);
            }
            ServerEvent::Heartbeat => {}
            ServerEvent::HandshakeRequested(body) => self.handle_handshake(&body, fx),
            ServerEvent::Established => {
                self.is_opened = true;
                // At once, because some clients begin to send theirs only after the first of ours.
                self.write_packet(&dunlin_wire::HEARTBEAT_PACKET, fx);
                fx.wake_by(self.protocol.next_tick(fx.app().gate.heartbeat_interval_ms));
                if let Some(session) = &self.session {
                    fx.app().hooks.opened(session, &fx.app().stats);
                }
            }
        }
    }

    fn feed_frames(&mut self, mut input: &mut [u8], fx: &mut Fx<'_>) -> Left {
        let limits = fx.app().gate.ws_limits;
        while !self.is_leaving() {
            if self.is_full(fx) {
                return Left { plain: 0, raw: input.len() };
            }
            match self.frames.decode(&mut input, Role::Server, &limits) {
                Ok(Some(WsEvent::Data { bytes, .. })) => {
                    let plain = self.feed_packets(bytes, fx).len();
                    if plain > 0 {
                        return Left { plain, raw: input.len() };
                    }
                }
                Ok(Some(WsEvent::Ping(_) | WsEvent::Pong(_))) if !self.may_speak(fx) => {}
                Ok(Some(WsEvent::Ping(payload))) => {
                    self.protocol.handle_life(fx.now);
                    dunlin_wire::ws::encode_pong(fx.out, &payload, None);
                }
                Ok(Some(WsEvent::Pong(_))) => self.protocol.handle_life(fx.now),
                Ok(Some(WsEvent::Close(frame))) => self.handle_close_frame(frame.as_ref(), fx),
                Ok(None) => break,
                Err(error) => self.leave_with_code(
                    &CloseReason::Protocol { fault: error.to_string() },
                    error.close_code(),
                    fx,
                ),
            }
        }
        Left::NOTHING
    }

    /// Counts one packet, or one of WebSocket's own frames. Over its rate the connection is not read for a while, which
    /// its client feels as a full network; one that goes on all the same is ended.
    #[inline]
    fn may_speak(&mut self, fx: &mut Fx<'_>) -> bool {
        match self.flood.count(fx.now, &fx.app().gate.flood) {
            Spoken::Within => true,
            Spoken::Pause(until) => {
                self.is_paused = true;
                fx.wake_by(until);
                true
            }
            Spoken::Flood => {
                fx.app().stats.floods.add(1);
                self.leave(&CloseReason::Flooding, fx);
                false
            }
        }
    }

    /// Whether nothing more may be started now: the socket takes nothing, or this turn has done enough.
    fn is_choked(&self, fx: &Fx<'_>) -> bool {
        fx.is_blocked || fx.out.len() >= OUT_LEN_SOFT_MAX || *fx.credit == 0
    }

    /// Whether nothing more may be taken now.
    fn is_full(&self, fx: &Fx<'_>) -> bool {
        self.is_choked(fx) || !self.could_take(fx.app())
    }

    /// Appends one whole packet in the client's framing.
    fn write_packet(&self, packet: &[u8], fx: &mut Fx<'_>) {
        write_framed(self.link, packet, fx.out);
    }

    /// Takes the session's queued packets into the output, and leaves if the session is to end after them.
    pub(crate) fn drain_session(&mut self, fx: &mut Fx<'_>) {
        let Some(session) = &self.session else { return };
        if fx.is_blocked || !self.is_opened {
            if session.is_closed() {
                self.hurry(fx);
            }
            return;
        }
        if let Some(reason) = self.take_output(OUT_LEN_SOFT_MAX, fx) {
            self.leave(&reason, fx);
        }
    }

    /// Whether what the session has queued may be written, as far as the client is concerned.
    pub(crate) fn is_opened(&self) -> bool {
        self.is_opened
    }

    /// Takes what the session has queued into the output, until that is so long; returns why the session is to end,
    /// once all of it is taken.
    fn take_output(&self, out_len_max: usize, fx: &mut Fx<'_>) -> Option<CloseReason> {
        let session = self.session.as_ref()?;
        if fx.is_blocked || !session.has_output() || self.is_leaving() {
            return None;
        }
        session.clear_dirty();
        let link = self.link;
        let reason = session.take_output(|queued| {
            write_framed(link, &queued.packet, fx.out);
            fx.out.len() < out_len_max
        });
        if reason.is_none() && fx.out.len() >= out_len_max {
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
        // What is left over waits for its own place in the turn, so that it cannot crowd out other connections.
        self.start_queued(fx);
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
