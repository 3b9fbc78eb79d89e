//! One client connection as its server sees it: which packets may come when, and whether the client is alive.
//!
//! Knows nothing of sockets, clocks or handlers. The owner feeds packets and ticks in and does what it is told.
//!
//! ```text
//! Start ─ handshake ─▶ Handshaking ─ accept ─▶ Handshaken ─ ack ─▶ Working
//!   └──────────────────── refuse, an error, death ─────────────────────┴──▶ Closed
//! ```
//!
//! Invariants: a message comes out only while `Working`; a handshake comes out once; after `Closed` nothing comes out.
//! How long a client may take to get to `Working` is the owner's deadline, not decided here.

use std::borrow::Cow;

use crate::handshake::ClientAbilities;
use crate::packet::{Packet, PacketKind};
use crate::time::Millis;

#[cfg(test)]
mod tests;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// Nothing has come but perhaps heartbeats.
    Start,
    /// The client's handshake was handed up; the owner owes `accept` or `refuse`.
    Handshaking,
    /// The client was let in and owes its acknowledgement.
    Handshaken,
    /// Messages flow.
    Working,
    /// It is over; what still comes is ignored.
    Closed,
}

/// What a packet means to the owner of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent<'a> {
    /// The client's handshake, the body as it came. The owner answers and calls `accept` or `refuse`.
    HandshakeRequested(Cow<'a, [u8]>),
    /// The client has read the answer: messages may flow both ways.
    Established,
    /// The client sent a heartbeat. Answering it at once gives clients their round trip and is never wrong; who does calls
    /// [`ServerProtocol::handle_heartbeat_sent`].
    Heartbeat,
    /// The body of a data packet, to be read with [`crate::decode_message`].
    Message(Cow<'a, [u8]>),
}

/// What the clock means to the owner of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// Send a heartbeat now.
    SendHeartbeat,
    /// Nothing came for more than two and a half intervals: close.
    Dead,
}

/// A packet that must not come now: the client broke the protocol and the connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A second handshake, at any time.
    #[error("handshake came a second time")]
    RepeatedHandshake,
    /// An acknowledgement before the handshake was answered.
    #[error("handshake acknowledgement came before the handshake's answer, in state {state:?}")]
    AckBeforeHandshake {
        /// How far the connection was.
        state: ServerState,
    },
    /// A second acknowledgement.
    #[error("handshake acknowledgement came a second time")]
    RepeatedAck,
    /// A message before the acknowledgement.
    #[error("data came before the handshake acknowledgement, in state {state:?}")]
    DataBeforeAck {
        /// How far the connection was.
        state: ServerState,
    },
    /// A kick, which only servers send.
    #[error("kick came from a client")]
    KickFromClient,
}

/// One client connection as its server sees it.
#[derive(Debug, Clone)]
pub struct ServerProtocol {
    last_life: Millis,
    last_heartbeat: Millis,
    state: ServerState,
    abilities: ClientAbilities,
}

const _: () = assert!(size_of::<ServerProtocol>() <= 24);

impl ServerProtocol {
    /// A connection that was accepted now.
    #[must_use]
    pub const fn new(now: Millis) -> Self {
        Self {
            last_life: now,
            last_heartbeat: now,
            state: ServerState::Start,
            abilities: ClientAbilities::PLAIN,
        }
    }

    /// Takes a packet from the client, which counts as a sign of life whatever it is. `None` asks nothing of the owner.
    ///
    /// Heartbeats are welcome at any time. After the connection is closed everything is ignored.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] when this packet must not come now; the connection is then closed.
    #[inline]
    pub fn handle_packet<'a>(
        &mut self,
        now: Millis,
        packet: Packet<'a>,
    ) -> Result<Option<ServerEvent<'a>>, ProtocolError> {
        self.last_life = now;
        match (packet.kind, self.state) {
            (PacketKind::Data, ServerState::Working) => Ok(Some(ServerEvent::Message(packet.body))),
            (PacketKind::Heartbeat, ServerState::Working) => Ok(Some(ServerEvent::Heartbeat)),
            _ => self.handle_rare_packet(now, packet),
        }
    }

    fn handle_rare_packet<'a>(
        &mut self,
        now: Millis,
        packet: Packet<'a>,
    ) -> Result<Option<ServerEvent<'a>>, ProtocolError> {
        let state = self.state;
        let error = match (packet.kind, state) {
            (_, ServerState::Closed) | (PacketKind::Heartbeat, _) => return Ok(None),
            (PacketKind::Handshake, ServerState::Start) => {
                self.state = ServerState::Handshaking;
                return Ok(Some(ServerEvent::HandshakeRequested(packet.body)));
            }
            (PacketKind::HandshakeAck, ServerState::Handshaken) => {
                self.state = ServerState::Working;
                self.last_heartbeat = now;
                return Ok(Some(ServerEvent::Established));
            }
            (PacketKind::Handshake, _) => ProtocolError::RepeatedHandshake,
            (PacketKind::HandshakeAck, ServerState::Working) => ProtocolError::RepeatedAck,
            (PacketKind::HandshakeAck, _) => ProtocolError::AckBeforeHandshake { state },
            (PacketKind::Data, _) => ProtocolError::DataBeforeAck { state },
            (PacketKind::Kick, _) => ProtocolError::KickFromClient,
        };
        self.state = ServerState::Closed;
        Err(error)
    }

    /// The owner lets the client in and sends the answer. Without an outstanding handshake this changes nothing.
    pub fn accept(&mut self, now: Millis) {
        if self.state == ServerState::Handshaking {
            self.state = ServerState::Handshaken;
            // The client was waiting for us: its time begins anew.
            self.last_life = now;
        }
    }

    /// The owner refuses the client, or closes for any other reason.
    pub fn refuse(&mut self) {
        self.state = ServerState::Closed;
    }

    /// Takes another sign of life than a packet, such as progress in writing while reading is paused.
    #[inline]
    pub fn handle_life(&mut self, now: Millis) {
        self.last_life = now;
    }

    /// The owner sent a heartbeat of its own accord, in answer to the client's: the next one is due an interval from now.
    pub fn handle_heartbeat_sent(&mut self, now: Millis) {
        self.last_heartbeat = now;
    }

    /// Takes the time, at least once an interval; 0 as the interval turns heartbeats and the check for life off.
    ///
    /// While working it asks for one heartbeat an interval, the first an interval after the acknowledgement. A client that was
    /// silent for more than two and a half intervals is dead and the connection closed, except while it waits for the owner's answer to its
    /// handshake.
    pub fn handle_tick(&mut self, now: Millis, interval_ms: u64) -> Option<Liveness> {
        let is_judged = match self.state {
            ServerState::Closed | ServerState::Handshaking => false,
            ServerState::Start | ServerState::Handshaken | ServerState::Working => interval_ms > 0,
        };
        if !is_judged {
            return None;
        }
        if now > self.dead_after(interval_ms) {
            self.state = ServerState::Closed;
            return Some(Liveness::Dead);
        }
        let is_due = now.since(self.last_heartbeat) >= interval_ms;
        if is_due && self.is_working() {
            self.last_heartbeat = now;
            return Some(Liveness::SendHeartbeat);
        }
        None
    }

    /// The last moment at which the client still counts as alive, if nothing more comes: two and a half intervals after the last
    /// sign of life. A client may wait a whole interval after our heartbeat before it sends its own, which is then two intervals
    /// after its last; the half allows for the way.
    #[must_use]
    pub const fn dead_after(&self, interval_ms: u64) -> Millis {
        self.last_life.plus(interval_ms.saturating_mul(2).saturating_add(interval_ms / 2))
    }

    /// When [`handle_tick`](Self::handle_tick) would next ask for something, if nothing comes before; for owners that do not
    /// want to look at every connection all the time.
    #[must_use]
    pub fn next_tick(&self, interval_ms: u64) -> Millis {
        if interval_ms == 0 || matches!(self.state, ServerState::Closed | ServerState::Handshaking) {
            return Millis::MAX;
        }
        let death = self.dead_after(interval_ms).plus(1);
        if self.is_working() { death.min(self.last_heartbeat.plus(interval_ms)) } else { death }
    }

    /// How far the connection is.
    #[must_use]
    pub const fn state(&self) -> ServerState {
        self.state
    }

    /// Whether messages flow.
    #[must_use]
    pub const fn is_working(&self) -> bool {
        matches!(self.state, ServerState::Working)
    }

    /// What the client can take; before `set_abilities`, what one can take that says nothing.
    #[must_use]
    pub const fn abilities(&self) -> ClientAbilities {
        self.abilities
    }

    /// Sets what the client can take, after its handshake was read.
    pub const fn set_abilities(&mut self, abilities: ClientAbilities) {
        self.abilities = abilities;
    }
}
