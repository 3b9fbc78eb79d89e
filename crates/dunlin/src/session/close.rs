//! Why a session ended.

use std::fmt;

/// Why a session ended: told to close callbacks, hooks and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed its connection, or the network did.
    ByClient,
    /// A handler or another part of the server kicked the client, which was told this reason.
    Kicked {
        /// What the client was told.
        reason: String,
    },
    /// A handler closed the session without a word.
    ByServer,
    /// The client did not read what it was sent: its queue was full, or its socket took nothing for too long.
    TooSlow,
    /// Nothing was heard of the client for two and a half heartbeat intervals.
    Silent,
    /// The client sent more messages than it may, for ten seconds without a break.
    Flooding,
    /// The client broke the protocol.
    Protocol {
        /// What it did, in words for a log.
        fault: String,
    },
    /// The server is stopping.
    Shutdown,
    /// The node that the client was connected to is gone.
    GateLost,
}

impl CloseReason {
    /// The WebSocket close code a client is told (RFC 6455 section 7.4.1).
    pub(crate) fn websocket_code(&self) -> u16 {
        match self {
            Self::ByClient | Self::ByServer => 1000,
            Self::Shutdown | Self::GateLost => 1001,
            Self::Protocol { .. } => 1002,
            Self::Kicked { .. } | Self::TooSlow | Self::Silent | Self::Flooding => 1008,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByClient => f.write_str("closed by the client"),
            Self::Kicked { reason } => write!(f, "kicked: {reason}"),
            Self::ByServer => f.write_str("closed by the server"),
            Self::TooSlow => f.write_str("the client reads too slowly"),
            Self::Silent => f.write_str("nothing heard for two and a half heartbeat intervals"),
            Self::Flooding => f.write_str("the client sends too many messages"),
            Self::Protocol { fault } => write!(f, "protocol broken: {fault}"),
            Self::Shutdown => f.write_str("the server is stopping"),
            Self::GateLost => f.write_str("the node of the client is gone"),
        }
    }
}
