//! The task behind a [`LocalClient`](super::LocalClient): it owns the client's protocol and its end of the pipe.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dunlin_wire::{
    ClientConfig, ClientEvent, ClientProtocol, ErrorBody, HandshakeResponse, Millis, SendError,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::{CallError, ConnectError, LocalEnd, Push};
use crate::edge::MemoryPipe;

type Answer = oneshot::Sender<Result<Bytes, CallError>>;

/// What the client's handle asks.
pub(super) enum Command {
    Request { route: String, body: Bytes, answer: Answer },
    Notify { route: String, body: Bytes, sent: oneshot::Sender<Result<(), CallError>> },
    Close,
}

/// The task's state.
pub(super) struct Driver {
    pipe: MemoryPipe,
    protocol: ClientProtocol,
    started: Instant,
    connected: Option<oneshot::Sender<Result<HandshakeResponse, ConnectError>>>,
    answers: HashMap<u64, Answer>,
    unsent: Vec<u8>,
    received: Vec<u8>,
    held_push: Option<Push>,
    kicked: Option<String>,
    request_timeout_ms: u64,
    is_over: bool,
}

impl Driver {
    pub(super) fn new(
        pipe: MemoryPipe,
        config: ClientConfig,
        connected: oneshot::Sender<Result<HandshakeResponse, ConnectError>>,
    ) -> Result<Self, SendError> {
        let request_timeout_ms = config.request_timeout_ms;
        Ok(Self {
            pipe,
            protocol: ClientProtocol::new(config, Millis(0))?,
            started: Instant::now(),
            connected: Some(connected),
            answers: HashMap::new(),
            unsent: Vec::new(),
            received: Vec::new(),
            held_push: None,
            kicked: None,
            request_timeout_ms,
            is_over: false,
        })
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        pushes: mpsc::Sender<Push>,
        end: watch::Sender<Option<LocalEnd>>,
    ) {
        let mut timer = Box::pin(sleep_until(self.started));
        while !self.is_over {
            poll_fn(|cx| self.poll(cx, &mut commands, &pushes, timer.as_mut())).await;
        }
        let reason = self.kicked.take();
        let ended = reason.map_or(LocalEnd::Closed, |reason| LocalEnd::Kicked { reason });
        // Nobody listening is fine.
        end.send(Some(ended)).ok();
    }

    /// Does whatever can be done; ready when something was.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        commands: &mut mpsc::Receiver<Command>,
        pushes: &mpsc::Sender<Push>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<()> {
        self.flush();
        if let Some(push) = self.held_push.take() {
            match pushes.try_send(push) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(push)) => self.held_push = Some(push),
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        match commands.poll_recv(cx) {
            Poll::Ready(Some(command)) => {
                self.obey(command);
                return Poll::Ready(());
            }
            Poll::Ready(None) => {
                self.is_over = true;
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        if self.held_push.is_none() {
            self.pipe.register(cx.waker());
            if let Poll::Ready(len) = self.pipe.poll_read(cx, &mut self.received) {
                self.receive(len);
                self.take_events(pushes);
                return Poll::Ready(());
            }
        }
        self.take_events(pushes);
        let now = self.now();
        let due = match self.protocol.poll_deadline() {
            // A held push is offered again soon: its receiver does not tell when there is room.
            _ if self.held_push.is_some() => Millis(now.0 + 10),
            Some(deadline) => deadline,
            None => Millis(now.0 + 60_000),
        };
        timer.as_mut().reset(self.started + Duration::from_millis(due.0));
        if timer.as_mut().poll(cx).is_ready() {
            self.protocol.handle_timeout(self.now());
            self.take_events(pushes);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn flush(&mut self) {
        loop {
            // The rest waits in the protocol, which bounds it.
            if self.unsent.is_empty() && !self.protocol.poll_transmit(&mut self.unsent) {
                return;
            }
            let written = self.pipe.write(&self.unsent);
            self.unsent.drain(..written);
            if !self.unsent.is_empty() {
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Request { route, body, answer } => {
                match self.protocol.request(now, &route, &body, self.request_timeout_ms) {
                    Ok(id) => {
                        self.answers.insert(id, answer);
                    }
                    // Who asked may be gone.
                    Err(error) => drop(answer.send(Err(refusal(error)))),
                }
            }
            Command::Notify { route, body, sent } => {
                sent.send(self.protocol.notify(&route, &body).map_err(refusal)).ok();
            }
            Command::Close => self.is_over = true,
        }
        self.flush();
    }

    fn receive(&mut self, len: usize) {
        let received = std::mem::take(&mut self.received);
        let now = self.now();
        if let Err(error) = self.protocol.handle_bytes(now, &received) {
            tracing::error!(%error, "the in-process server broke the protocol");
            self.is_over = true;
        }
        self.is_over |= len == 0;
    }

    fn take_events(&mut self, pushes: &mpsc::Sender<Push>) {
        while self.held_push.is_none() {
            let Some(event) = self.protocol.poll_event() else { break };
            match event {
                ClientEvent::Connected { response } => self.tell_connected(Ok(response)),
                ClientEvent::Refused { code, response } => {
                    self.tell_connected(Err(ConnectError::Refused { code, message: response.message }));
                }
                ClientEvent::Response { id, result } => {
                    self.tell(id, result.map(Bytes::from).map_err(|body| read_error(&body)));
                }
                ClientEvent::TimedOut { id } => self.tell(id, Err(CallError::TimedOut)),
                ClientEvent::Push { route, payload } => {
                    let push = Push { route, body: Bytes::from(payload) };
                    if let Err(mpsc::error::TrySendError::Full(push)) = pushes.try_send(push) {
                        self.held_push = Some(push);
                    }
                }
                ClientEvent::Kicked { reason } => self.kicked = Some(reason.into_string()),
                _ => self.is_over = true,
            }
        }
    }

    fn tell_connected(&mut self, outcome: Result<HandshakeResponse, ConnectError>) {
        if let Some(connected) = self.connected.take() {
            // Who connected may be gone.
            connected.send(outcome).ok();
        }
    }

    fn tell(&mut self, id: u64, outcome: Result<Bytes, CallError>) {
        if let Some(answer) = self.answers.remove(&id) {
            // Who asked may be gone.
            answer.send(outcome).ok();
        }
    }
}

fn refusal(error: SendError) -> CallError {
    match error {
        SendError::NotConnected => CallError::Closed,
        other => CallError::Send(other),
    }
}

/// Reads an error body in the form of JSON servers; of others only the length is told.
fn read_error(body: &ErrorBody) -> CallError {
    #[derive(serde::Deserialize)]
    struct Read {
        code: u32,
        #[serde(default)]
        message: String,
        #[serde(default)]
        details: Option<serde_json::Value>,
    }
    match serde_json::from_slice::<Read>(&body.payload) {
        Ok(Read { code, message, details }) => CallError::Server { code, message, details },
        Err(_) => CallError::Server {
            code: 0,
            message: format!("an error body of {} bytes that is not JSON", body.payload.len()),
            details: None,
        },
    }
}
