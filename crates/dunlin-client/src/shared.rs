//! What the handles of a client and its task have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dunlin_wire::HandshakeResponse;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::error::RequestError;
use crate::push::Subscriptions;
use crate::state::{CloseReason, State};

/// What a handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Request(Request),
    Notify { route: String, payload: Bytes },
}

/// A request on its way to the task. Its outcome goes to `reply`; nobody listens there any more once it was cancelled.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: String,
    pub(crate) payload: Bytes,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
    pub(crate) reply: Reply,
}

/// Where the one outcome of a request goes.
pub(crate) type Reply = oneshot::Sender<Result<Bytes, RequestError>>;

/// What the handles of a client and its task have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: watch::Sender<State>,
    pub(crate) subscriptions: Subscriptions,
    /// Beside the queue of commands, because a close must be heard while the server takes nothing.
    pub(crate) close_asked: Notify,
    handshake: Mutex<Arc<HandshakeResponse>>,
    /// In microseconds; `u64::MAX` before the first is known.
    round_trip_us: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Connecting),
            subscriptions: Subscriptions::default(),
            close_asked: Notify::new(),
            handshake: Mutex::default(),
            round_trip_us: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        let us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX - 1);
        self.round_trip_us.store(us, Ordering::Relaxed);
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_us.load(Ordering::Relaxed) {
            u64::MAX => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    pub(crate) fn set_handshake(&self, response: Arc<HandshakeResponse>) {
        *self.handshake.lock().unwrap_or_else(PoisonError::into_inner) = response;
    }

    pub(crate) fn handshake(&self) -> Arc<HandshakeResponse> {
        Arc::clone(&self.handshake.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the client is closed, if it is.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        match &*self.state.borrow() {
            State::Closed { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    /// The last state there is; a later one has no effect.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.state.send_if_modified(|state| {
            let is_first = !matches!(state, State::Closed { .. });
            if is_first {
                *state = State::Closed { reason };
            }
            is_first
        });
        self.subscriptions.close();
    }
}
