//! One connection from its handshake to its end: the link, the protocol on it, and the requests that wait for answers.
//!
//! Invariant: each request taken has exactly one outcome, at the latest when the connection ends.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_wire::ws::code;
use dunlin_wire::{ClientConfig, ClientEvent, ClientProtocol, HandshakeResponse, Millis, SendError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::{ConnectError, ProtocolFault, RequestError, ServerError};
use crate::limits::CLOSE_TIMEOUT;
use crate::link::{Link, ServerClose, Turn, fault_code};
use crate::shared::{Command, Reply, Request, Shared};
use crate::state::CloseReason;

/// One connection, from its handshake to its end.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    protocol: ClientProtocol,
    origin: Instant,
    waiting: HashMap<u64, Waiting>,
    handshake: Arc<HandshakeResponse>,
    handshake_round_trip: Duration,
    /// While a heartbeat of ours is unanswered.
    heartbeat_sent_at: Option<Instant>,
    /// What came with the handshake's answer, beside it: looked at once there is somebody to tell.
    early: Option<Result<Option<ServerClose>, ProtocolFault>>,
    /// Set once; everything after it is farewell.
    end: Option<CloseReason>,
}

/// A request whose answer has not come.
#[derive(Debug)]
struct Waiting {
    reply: Reply,
    timeout: Duration,
}

impl Connection {
    /// Shakes hands. The caller sets the deadline.
    pub(crate) async fn establish(link: Link, config: ClientConfig) -> Result<Self, ConnectError> {
        let origin = Instant::now();
        let protocol = ClientProtocol::new(config, Millis::ZERO).map_err(ConnectError::Handshake)?;
        let handshake = Arc::default();
        let mut connection = Self {
            link,
            protocol,
            origin,
            waiting: HashMap::new(),
            handshake,
            handshake_round_trip: Duration::ZERO,
            heartbeat_sent_at: None,
            early: None,
            end: None,
        };
        loop {
            connection.link.transmit(&mut connection.protocol);
            let turn = connection.link.turn().await.map_err(ConnectError::Lost)?;
            let now = connection.now();
            let fed = match turn {
                Turn::RoomAgain => continue,
                Turn::Ended => return Err(ConnectError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Turn::Received => connection.link.feed(&mut connection.protocol, now),
            };
            // An event may stand before the error or the Close that came with it, and says more.
            match connection.protocol.poll_event() {
                Some(ClientEvent::Connected { response }) => {
                    connection.handshake = Arc::new(response);
                    connection.handshake_round_trip = connection.origin.elapsed();
                    connection.early = Some(fed);
                    return Ok(connection);
                }
                Some(event) => return Err(refusal(event)),
                None => {}
            }
            match fed {
                Ok(None) => {}
                Ok(Some(ServerClose { code, reason })) => return Err(ConnectError::Closed { code, reason }),
                Err(fault) => return Err(ConnectError::Protocol(fault)),
            }
        }
    }

    /// The server's answer to the handshake.
    pub(crate) fn handshake(&self) -> Arc<HandshakeResponse> {
        Arc::clone(&self.handshake)
    }

    /// How long the server took to answer the handshake.
    pub(crate) const fn handshake_round_trip(&self) -> Duration {
        self.handshake_round_trip
    }

    /// Runs the connection to its end, farewell included, and says why it ended. All requests have their outcome then.
    pub(crate) async fn run(
        mut self,
        commands: &mut mpsc::Receiver<Command>,
        shared: &Shared,
    ) -> CloseReason {
        if let Some(fed) = self.early.take() {
            self.handle_fed(fed, shared);
        }
        let reason = loop {
            self.pump(shared);
            if let Some(reason) = self.end.take() {
                break reason;
            }
            let deadline = self.protocol.poll_deadline().map(|at| self.origin + Duration::from_millis(at.0));
            let has_room = self.link.has_room();
            tokio::select! {
                turn = self.link.turn() => self.handle_turn(turn, shared),
                command = commands.recv(), if has_room => self.handle_commands(command, commands),
                () = shared.close_asked.notified() => {
                    // What was asked before the close goes out before it.
                    self.handle_commands(commands.try_recv().ok(), commands);
                    self.end_with(CloseReason::ByUs);
                }
                () = sleep_until(deadline) => self.protocol.handle_timeout(self.now()),
            }
        };
        self.say_farewell(&reason).await;
        reason
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Takes what the protocol has to say and to send.
    fn pump(&mut self, shared: &Shared) {
        self.handle_events(shared);
        self.link.transmit(&mut self.protocol);
        match (self.protocol.awaits_heartbeat(), self.heartbeat_sent_at) {
            (true, None) => self.heartbeat_sent_at = Some(Instant::now()),
            (false, Some(sent_at)) => {
                shared.set_round_trip(sent_at.elapsed());
                self.heartbeat_sent_at = None;
            }
            _ => {}
        }
    }

    fn handle_events(&mut self, shared: &Shared) {
        while let Some(event) = self.protocol.poll_event() {
            self.handle_event(event, shared);
        }
    }

    fn handle_event(&mut self, event: ClientEvent, shared: &Shared) {
        match event {
            ClientEvent::Response { id, result } => {
                let result = match result {
                    Ok(payload) => Ok(Bytes::from(payload)),
                    Err(body) => Err(RequestError::Server(ServerError::parse(body))),
                };
                self.answer(id, result);
            }
            ClientEvent::TimedOut { id } => {
                if let Some(Waiting { reply, timeout }) = self.waiting.remove(&id) {
                    // Whoever cancelled does not want to know.
                    reply.send(Err(RequestError::TimedOut { timeout })).ok();
                }
            }
            ClientEvent::Push { route, payload } => shared.subscriptions.publish(&route, payload),
            ClientEvent::Kicked { reason } => {
                self.end_with(CloseReason::Kicked { reason: reason.into_string() });
            }
            ClientEvent::SentAway { within_ms } => {
                self.end_with(CloseReason::SentAway { within: Duration::from_millis(within_ms) });
            }
            ClientEvent::Dead { silent_ms } => {
                self.end_with(CloseReason::Silent { silent: Duration::from_millis(silent_ms) });
            }
            // The handshake is over; these cannot come again.
            _ => {}
        }
    }

    fn handle_turn(&mut self, turn: io::Result<Turn>, shared: &Shared) {
        match turn {
            Ok(Turn::RoomAgain) => {}
            Ok(Turn::Ended) => self.end_with(CloseReason::ByServer { code: None, reason: String::new() }),
            Ok(Turn::Received) => {
                let now = self.now();
                let fed = self.link.feed(&mut self.protocol, now);
                self.handle_fed(fed, shared);
            }
            Err(source) => self.end_with(CloseReason::Lost(Arc::new(source))),
        }
    }

    fn handle_fed(&mut self, fed: Result<Option<ServerClose>, ProtocolFault>, shared: &Shared) {
        // A kick that came before says more than the Close or the nonsense that followed it.
        self.handle_events(shared);
        let reason = match fed {
            Ok(None) => return,
            Ok(Some(ServerClose { code, reason })) => CloseReason::ByServer { code, reason },
            Err(fault) => CloseReason::Protocol(Arc::new(fault)),
        };
        self.end_with(reason);
    }

    /// Takes one command and those queued behind it, so that they leave in one write.
    fn handle_commands(&mut self, first: Option<Command>, commands: &mut mpsc::Receiver<Command>) {
        let mut next = first;
        while let Some(command) = next {
            match command {
                Command::Request(request) => self.handle_request(request),
                Command::Notify { route, payload } => {
                    // The handle checked its length, and the connection stands: only a kick just read can be in the way.
                    if let Err(error) = self.protocol.notify(&route, &payload) {
                        tracing::debug!(%route, %error, "notification was not sent");
                    }
                }
            }
            self.link.transmit(&mut self.protocol);
            next = if self.link.has_room() { commands.try_recv().ok() } else { None };
        }
    }

    fn handle_request(&mut self, request: Request) {
        let Request { route, payload, timeout, deadline, reply } = request;
        if reply.is_closed() {
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        let now = self.now();
        let mut sent = self.protocol.request(now, &route, &payload, left_ms);
        if matches!(sent, Err(SendError::TooManyInFlight { .. })) {
            self.forget_cancelled();
            sent = self.protocol.request(now, &route, &payload, left_ms);
        }
        match sent {
            Ok(id) => {
                self.waiting.insert(id, Waiting { reply, timeout });
            }
            // Whoever cancelled does not want to know.
            Err(error) => {
                reply.send(Err(RequestError::from_send(error))).ok();
            }
        }
    }

    /// Gives the numbers of cancelled requests free before their time.
    fn forget_cancelled(&mut self) {
        let protocol = &mut self.protocol;
        self.waiting.retain(|id, waiting| {
            let is_wanted = !waiting.reply.is_closed();
            if !is_wanted {
                protocol.cancel(*id);
            }
            is_wanted
        });
    }

    fn answer(&mut self, id: u64, result: Result<Bytes, RequestError>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            // Whoever cancelled does not want to know.
            waiting.reply.send(result).ok();
        }
    }

    fn end_with(&mut self, reason: CloseReason) {
        self.end.get_or_insert(reason);
    }

    /// Tells all who wait that there will be no answer, and the server that we go.
    async fn say_farewell(&mut self, reason: &CloseReason) {
        self.protocol.close();
        for (_, waiting) in self.waiting.drain() {
            // Whoever cancelled does not want to know.
            waiting.reply.send(Err(RequestError::Disconnected)).ok();
        }
        let close_code = match reason {
            CloseReason::Lost(_) => return,
            CloseReason::Protocol(fault) => fault_code(fault),
            CloseReason::Silent { .. } => code::GOING_AWAY,
            _ => code::NORMAL,
        };
        // That the stream broke or the server does not answer changes nothing any more.
        tokio::time::timeout(CLOSE_TIMEOUT, self.link.close(close_code, "")).await.ok();
    }
}

/// What an event that is not `Connected` means during the handshake.
fn refusal(event: ClientEvent) -> ConnectError {
    match event {
        ClientEvent::Refused { code, response } => ConnectError::Refused { code, message: response.message },
        ClientEvent::Kicked { reason } => ConnectError::Kicked { reason: reason.into_string() },
        // The protocol's own deadline is the time left; it cannot come before the caller's.
        event => ConnectError::Lost(io::Error::other(format!("unexpected {event:?}"))),
    }
}

/// Waits for `deadline`, or for ever.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
