//! The client's side of one connection, without sockets or clocks: bytes, calls and times in, events and packets out.
//!
//! The owner feeds what it read to [`ClientProtocol::handle_bytes`], then takes events with `poll_event` and packets to send with
//! `poll_transmit` until there are none, and calls `handle_timeout` when `poll_deadline` has come.
//!
//! ```text
//! Handshaking ─ answer 200 ─▶ Working ─ kick, death, an error ─▶ Closed ◀─ refused, too late ─ Handshaking
//! ```
//!
//! Invariants: each request gets at most one of response and time-out, and its number is not used again before; after `Closed`
//! nothing is taken or sent. What is still unanswered then, the owner gets from [`ClientProtocol::close`].

mod config;
mod event;
mod heartbeat;
mod in_flight;
#[cfg(test)]
mod tests;
mod unsent;

use std::borrow::Cow;
use std::collections::VecDeque;

pub use config::ClientConfig;
pub use event::{ClientError, ClientEvent, ErrorBody, SendError};

use crate::compress::inflate;
use crate::dictionary::RouteDictionary;
use crate::handshake::{HandshakeRequest, HandshakeResponse};
use crate::kick::{parse_away, parse_kick};
use crate::limits::{PACKET_BODY_LEN_MAX, PACKET_HEADER_LEN};
use crate::message::{Message, MessageHead, Route, data_packet_len, decode_message, encode_data_packet};
use crate::packet::{
    ACK_PACKET, HEARTBEAT_PACKET, Packet, PacketDecoder, PacketError, PacketKind, encode_packet,
};
use crate::time::Millis;
use heartbeat::Heartbeat;
use in_flight::InFlight;
use unsent::UnsentPackets;

/// How far a client connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// The handshake is sent, its answer has not come.
    Handshaking,
    /// The server let us in.
    Working,
    /// It is over.
    Closed,
}

/// The client's side of one connection.
#[derive(Debug)]
pub struct ClientProtocol {
    config: ClientConfig,
    state: ClientState,
    decoder: PacketDecoder,
    dictionary: RouteDictionary,
    events: VecDeque<ClientEvent>,
    unsent: UnsentPackets,
    in_flight: InFlight,
    handshake_deadline: Millis,
    heartbeat: Heartbeat,
}

impl ClientProtocol {
    /// A connection that was opened now. Its handshake waits to be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Handshake`] when the handshake does not fit a packet.
    pub fn new(config: ClientConfig, now: Millis) -> Result<Self, SendError> {
        let request = HandshakeRequest { sys: config.sys.clone(), user: config.user.clone() };
        let mut body = Vec::new();
        request.encode(&mut body);
        let mut unsent = UnsentPackets::default();
        encode_handshake(&body, config.body_len_out_max, unsent.tail())
            .map_err(|source| SendError::Handshake { source })?;
        Ok(Self {
            state: ClientState::Handshaking,
            decoder: PacketDecoder::new(),
            dictionary: RouteDictionary::default(),
            events: VecDeque::new(),
            unsent,
            in_flight: InFlight::default(),
            handshake_deadline: now.plus(config.handshake_timeout_ms),
            heartbeat: Heartbeat::new(now),
            config,
        })
    }

    /// Takes bytes from the server, any part of its stream. The owner then polls events until there are none, so that they do not
    /// pile up.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the server broke the protocol; the connection is then closed. Events from before stay.
    pub fn handle_bytes(&mut self, now: Millis, bytes: &[u8]) -> Result<(), ClientError> {
        let mut input = bytes;
        let body_len_max = self.config.body_len_max;
        while self.state != ClientState::Closed {
            let decoded = self.decoder.decode(&mut input, body_len_max);
            let handled = match decoded {
                Ok(None) => break,
                Ok(Some(packet)) => self.handle_packet(now, packet),
                Err(source) => Err(ClientError::Packet { source }),
            };
            if let Err(error) = handled {
                self.enter_closed();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes the time, when [`Self::poll_deadline`] has come or at any other moment.
    pub fn handle_timeout(&mut self, now: Millis) {
        match self.state {
            ClientState::Closed => {}
            ClientState::Handshaking => {
                if now >= self.handshake_deadline {
                    self.events.push_back(ClientEvent::HandshakeTimedOut);
                    self.enter_closed();
                }
            }
            ClientState::Working => {
                while let Some(id) = self.in_flight.pop_due(now) {
                    self.events.push_back(ClientEvent::TimedOut { id });
                }
                self.handle_heartbeat_timeout(now);
            }
        }
    }

    /// The next event, if there is one.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Appends the next packet to send to `out`, one whole packet each time, so that the owner can put each into its own WebSocket
    /// message. `false` when there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.unsent.pop(out)
    }

    /// When [`Self::handle_timeout`] is due next; `None` for never.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Millis> {
        match self.state {
            ClientState::Closed => None,
            ClientState::Handshaking => Some(self.handshake_deadline),
            ClientState::Working => {
                let deadlines = [self.in_flight.first_deadline(), self.heartbeat.deadline()];
                deadlines.into_iter().flatten().min()
            }
        }
    }

    /// Asks the server; the number names the answer. Routes go out by code where the server told one.
    ///
    /// # Errors
    ///
    /// [`SendError`] when it cannot be sent now, or ever.
    pub fn request(
        &mut self,
        now: Millis,
        route: &str,
        payload: &[u8],
        timeout_ms: u64,
    ) -> Result<u64, SendError> {
        let in_flight_max = self.config.in_flight_max;
        if self.in_flight.len() >= in_flight_max {
            return Err(SendError::TooManyInFlight { in_flight_max });
        }
        let id = self.in_flight.next_id();
        let route = self.encoded_route(route);
        self.enqueue(&MessageHead::Request { id, route }, payload)?;
        self.in_flight.insert(id, now.plus(timeout_ms));
        Ok(id)
    }

    /// Tells the server something that wants no answer.
    ///
    /// # Errors
    ///
    /// [`SendError`] when it cannot be sent now, or ever.
    pub fn notify(&mut self, route: &str, payload: &[u8]) -> Result<(), SendError> {
        let route = self.encoded_route(route);
        self.enqueue(&MessageHead::Notify { route }, payload)
    }

    /// Forgets a request; an answer that still comes is dropped. Whether it was unanswered.
    pub fn cancel(&mut self, id: u64) -> bool {
        self.in_flight.remove(id)
    }

    /// Ends the connection on our side and gives the numbers of the requests that will have no answer. Right after any end, too.
    pub fn close(&mut self) -> Vec<u64> {
        self.enter_closed();
        self.in_flight.drain()
    }

    /// The number of unanswered requests.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Bytes that wait for `poll_transmit`.
    #[must_use]
    pub fn unsent_len(&self) -> usize {
        self.unsent.len()
    }

    /// Milliseconds between our last heartbeat and the server's answer to it. Only servers that answer a heartbeat at once, as
    /// dunlin and pomelo do, give a meaning to it.
    #[must_use]
    pub const fn round_trip_ms(&self) -> Option<u64> {
        self.heartbeat.round_trip_ms()
    }

    /// Whether a heartbeat of ours is unanswered: for owners with a finer clock than milliseconds, who take the time when this
    /// becomes true and when it ceases to be.
    #[must_use]
    pub const fn awaits_heartbeat(&self) -> bool {
        self.heartbeat.is_awaited()
    }

    /// How far the connection is.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        self.state
    }

    /// The routes the server has codes for.
    #[must_use]
    pub const fn dictionary(&self) -> &RouteDictionary {
        &self.dictionary
    }

    /// What the connection was made with.
    #[must_use]
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    fn encoded_route<'a>(&self, route: &'a str) -> Route<'a> {
        match self.dictionary.code(route) {
            Some(code) => Route::Code(code),
            None => Route::Name(Cow::Borrowed(route)),
        }
    }

    fn enqueue(&mut self, head: &MessageHead<'_>, payload: &[u8]) -> Result<(), SendError> {
        if self.state != ClientState::Working {
            return Err(SendError::NotConnected);
        }
        let unsent_len = self.unsent.len();
        let packet_len = data_packet_len(head, payload.len());
        // One message always fits an empty queue, whatever the bound: it could never be sent otherwise.
        if unsent_len > 0 && unsent_len.saturating_add(packet_len) > self.config.unsent_len_max {
            return Err(SendError::QueueFull { unsent_len });
        }
        let body_len_max = self.config.body_len_out_max;
        encode_data_packet(head, false, payload, body_len_max, self.unsent.tail())
            .map_err(|source| SendError::Encode { source })
    }

    fn handle_packet(&mut self, now: Millis, packet: Packet<'_>) -> Result<(), ClientError> {
        self.heartbeat.handle_life(now);
        match (packet.kind, self.state) {
            (PacketKind::Handshake, ClientState::Handshaking) => {
                let response = HandshakeResponse::parse(&packet.body)
                    .map_err(|source| ClientError::Handshake { source })?;
                self.handle_response(now, response);
            }
            (PacketKind::Heartbeat, _) => self.heartbeat.handle_heartbeat(now),
            (PacketKind::Data, ClientState::Working) => self.handle_message(packet.body)?,
            (PacketKind::Kick, _) => {
                self.events.push_back(match parse_away(&packet.body) {
                    Some(within_ms) => ClientEvent::SentAway { within_ms },
                    None => ClientEvent::Kicked { reason: parse_kick(&packet.body) },
                });
                self.enter_closed();
            }
            (kind, _) => return Err(ClientError::UnexpectedPacket { kind }),
        }
        Ok(())
    }

    fn handle_response(&mut self, now: Millis, response: HandshakeResponse) {
        if !response.is_ok() {
            let code = response.code;
            self.events.push_back(ClientEvent::Refused { code, response });
            self.enter_closed();
            return;
        }
        if let Some(sys) = &response.sys {
            if let Some(codes) = sys.dict.as_ref().or(sys.route_to_code.as_ref()) {
                self.dictionary = RouteDictionary::from_peer(codes);
            }
            self.heartbeat.start(now, sys.heartbeat);
        }
        self.state = ClientState::Working;
        self.unsent.tail().extend_from_slice(&ACK_PACKET);
        self.events.push_back(ClientEvent::Connected { response });
    }

    fn handle_message(&mut self, body: Cow<'_, [u8]>) -> Result<(), ClientError> {
        let message = decode_message(&body).map_err(|source| ClientError::Message { source })?;
        let Message { head, is_compressed, payload } = message;
        match head {
            MessageHead::Response { id, is_error } => {
                // Nobody waits for it any more: it timed out or was cancelled.
                if !self.in_flight.remove(id) {
                    return Ok(());
                }
                let payload_len = payload.len();
                let payload = self.owned_payload(body, payload_len, is_compressed)?;
                let result = if is_error { Err(ErrorBody { payload }) } else { Ok(payload) };
                self.events.push_back(ClientEvent::Response { id, result });
            }
            MessageHead::Push { route } => {
                let route = match route {
                    Route::Name(name) => name.into_owned(),
                    Route::Code(code) => match self.dictionary.route(code) {
                        Some(name) => name.to_owned(),
                        None => return Err(ClientError::UnknownRouteCode { code }),
                    },
                };
                let payload_len = payload.len();
                let payload = self.owned_payload(body, payload_len, is_compressed)?;
                self.events.push_back(ClientEvent::Push { route, payload });
            }
            MessageHead::Request { .. } | MessageHead::Notify { .. } => {
                return Err(ClientError::UnexpectedMessage);
            }
        }
        Ok(())
    }

    /// The last `payload_len` bytes of a body: inflated, or in the body's own buffer if it has one, or copied.
    fn owned_payload(
        &self,
        body: Cow<'_, [u8]>,
        payload_len: usize,
        is_compressed: bool,
    ) -> Result<Vec<u8>, ClientError> {
        let head_len = body.len().saturating_sub(payload_len);
        if is_compressed {
            let compressed = body.get(head_len..).unwrap_or_default();
            return inflate(compressed, self.config.inflated_len_max)
                .map_err(|source| ClientError::Inflate { source });
        }
        Ok(match body {
            Cow::Borrowed(body) => body.get(head_len..).unwrap_or_default().to_vec(),
            Cow::Owned(mut body) => {
                body.drain(..head_len);
                body
            }
        })
    }

    fn handle_heartbeat_timeout(&mut self, now: Millis) {
        if let Some(silent_ms) = self.heartbeat.silent_ms(now) {
            self.events.push_back(ClientEvent::Dead { silent_ms });
            self.enter_closed();
        } else if self.heartbeat.take_due(now) {
            self.unsent.tail().extend_from_slice(&HEARTBEAT_PACKET);
        }
    }

    fn enter_closed(&mut self) {
        self.state = ClientState::Closed;
        self.unsent.clear();
    }
}

fn encode_handshake(body: &[u8], body_len_max: usize, out: &mut Vec<u8>) -> Result<(), PacketError> {
    let body_len = body.len();
    if body_len > body_len_max.min(PACKET_BODY_LEN_MAX) {
        return Err(PacketError::BodyTooLong { body_len, body_len_max });
    }
    out.reserve_exact(PACKET_HEADER_LEN + body_len);
    encode_packet(PacketKind::Handshake, body, out)
}
