//! How a client is: connected, coming back, or closed and why.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{ConnectError, ProtocolFault, close_suffix, is_final_close};

/// How a client is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// On the way to its first connection.
    Connecting,
    /// The server let it in.
    Connected {
        /// 1 for the first connection, one more after each reconnect. Sessions do not outlive their connection: who sees a new
        /// number joins rooms again.
        connection: u64,
    },
    /// The connection was dropped, and another is being tried for.
    Reconnecting {
        /// Why the last one ended.
        reason: CloseReason,
        /// The number of the coming try since the drop, from 1.
        attempt: u32,
        /// The wait before it.
        delay: Duration,
    },
    /// It is over.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The server kicked us, for example because the user logged in elsewhere.
    #[error("kicked by the server: {reason}")]
    Kicked {
        /// Its words, perhaps empty.
        reason: String,
    },
    /// The server closed the connection.
    #[error("closed by the server{}", close_suffix(*code, reason))]
    ByServer {
        /// Its WebSocket close code; `None` when it gave none, as always over TCP.
        code: Option<u16>,
        /// Its words, perhaps empty.
        reason: String,
    },
    /// The server stops and sent us away, to come back elsewhere.
    #[error("sent away by the server, to come back within {within:?}")]
    SentAway {
        /// After a random time of at most this.
        within: Duration,
    },
    /// We closed it, or dropped the last handle.
    #[error("closed by us")]
    ByUs,
    /// The network failed.
    #[error("connection was lost")]
    Lost(#[source] Arc<io::Error>),
    /// Nothing came from the server for more than two heartbeat intervals.
    #[error("server was silent for {silent:?}")]
    Silent {
        /// How long.
        silent: Duration,
    },
    /// When coming back, the server did not let us in any more.
    #[error("server refused to take us back with code {code}")]
    Refused {
        /// Its code: of the handshake, or the HTTP status of the upgrade.
        code: u16,
        /// Its words, if any.
        message: Option<String>,
    },
    /// The server broke the protocol.
    #[error("server broke the protocol")]
    Protocol(#[source] Arc<ProtocolFault>),
    /// All tries to come back failed.
    #[error("gave up after {attempts} tries to reconnect")]
    GaveUp {
        /// How many there were.
        attempts: u32,
        /// What was wrong with the last.
        #[source]
        source: Arc<ConnectError>,
    },
    /// The runtime that drove the connection is gone.
    #[error("runtime of the connection is gone")]
    RuntimeGone,
}

impl CloseReason {
    /// Whether coming back makes sense: the network failed or the server went away, rather than somebody having decided so.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Silent { .. } | Self::SentAway { .. } => true,
            Self::ByServer { code, .. } => !is_final_close(*code),
            _ => false,
        }
    }

    /// The end of a client that could not come back.
    pub(crate) fn from_connect(error: ConnectError, attempts: u32) -> Self {
        use dunlin_wire::ws::ResponseError;
        match error {
            ConnectError::Refused { code, message } => Self::Refused { code, message },
            ConnectError::Upgrade(ResponseError::Refused { status, reason }) => {
                Self::Refused { code: status, message: Some(reason) }
            }
            error => Self::GaveUp { attempts, source: Arc::new(error) },
        }
    }
}

/// Follows the [`State`] of a client.
#[derive(Debug, Clone)]
pub struct StateWatch {
    receiver: watch::Receiver<State>,
    is_finished: bool,
}

impl StateWatch {
    pub(crate) fn new(mut receiver: watch::Receiver<State>) -> Self {
        let is_finished = matches!(*receiver.borrow_and_update(), State::Closed { .. });
        Self { receiver, is_finished }
    }

    /// The state now.
    #[must_use]
    pub fn current(&self) -> State {
        self.receiver.borrow().clone()
    }

    /// Waits for a state that came after the last one seen, and gives it. States that pass quickly may be skipped, the last one
    /// never is; `None` once [`State::Closed`] was seen.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a state not returned is not taken for seen.
    pub async fn changed(&mut self) -> Option<State> {
        if self.is_finished {
            return None;
        }
        self.receiver.changed().await.ok()?;
        let state = self.receiver.borrow_and_update().clone();
        self.is_finished = matches!(state, State::Closed { .. });
        Some(state)
    }
}
