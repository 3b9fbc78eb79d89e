//! What a client connection tells its owner: events, and the errors that end it or refuse a call.

use crate::compress::InflateError;
use crate::handshake::{HandshakeError, HandshakeResponse};
use crate::kick::KickReason;
use crate::message::{EncodeError, MessageError};
use crate::packet::{PacketError, PacketKind};

/// Something the owner of a client connection should know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server let us in; requests may be made.
    Connected {
        /// Its whole answer.
        response: HandshakeResponse,
    },
    /// The server did not let us in. The connection is over.
    Refused {
        /// Why, as a number.
        code: u16,
        /// Its whole answer.
        response: HandshakeResponse,
    },
    /// A request was answered.
    Response {
        /// Its number.
        id: u64,
        /// The payload, or the payload the server marked as an error.
        result: Result<Vec<u8>, ErrorBody>,
    },
    /// A request was not answered in time. An answer that still comes is dropped.
    TimedOut {
        /// Its number.
        id: u64,
    },
    /// The server says something unasked.
    Push {
        /// What it is about, by name.
        route: String,
        /// What it carries.
        payload: Vec<u8>,
    },
    /// The server ends the connection.
    Kicked {
        /// Why, in its words.
        reason: KickReason,
    },
    /// The server stops, and the client is to come back, elsewhere if it knows where. The connection is over.
    SentAway {
        /// After a random time of at most so many milliseconds.
        within_ms: u64,
    },
    /// The server did not answer the handshake in time. The connection is over.
    HandshakeTimedOut,
    /// Nothing came from the server for more than two heartbeat intervals. The connection is over.
    Dead {
        /// How long.
        silent_ms: u64,
    },
}

/// The payload of a response that is an error: a dunlin server writes `{"code":404,"message":"..."}`, pitaya
/// `{"code":"PIT-404","msg":"..."}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorBody {
    /// The bytes as they came, inflated if need be.
    pub payload: Vec<u8>,
}

/// The server broke the protocol: the connection is over and has to be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Its bytes are no packets.
    #[error("server's bytes are no packets")]
    Packet {
        /// What is wrong with them.
        #[source]
        source: PacketError,
    },
    /// Its handshake cannot be understood.
    #[error("server's handshake cannot be understood")]
    Handshake {
        /// What is wrong with it.
        #[source]
        source: HandshakeError,
    },
    /// A packet that must not come now, or never from a server.
    #[error("packet {kind:?} must not come from the server now")]
    UnexpectedPacket {
        /// Its kind.
        kind: PacketKind,
    },
    /// A data packet holds no message.
    #[error("server's data packet holds no message")]
    Message {
        /// What is wrong with it.
        #[source]
        source: MessageError,
    },
    /// A request or a notification, which only clients send.
    #[error("server sent a message only clients send")]
    UnexpectedMessage,
    /// A payload that cannot be inflated.
    #[error("server's payload cannot be inflated")]
    Inflate {
        /// What is wrong with it.
        #[source]
        source: InflateError,
    },
    /// A push by a code that the server never told.
    #[error("push has the code {code}, which the server never told")]
    UnknownRouteCode {
        /// The code.
        code: u16,
    },
}

/// A call was refused; the connection is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The server has not let us in yet, or the connection is over.
    #[error("not connected")]
    NotConnected,
    /// As many requests as allowed are unanswered.
    #[error("{in_flight_max} requests are unanswered")]
    TooManyInFlight {
        /// The limit.
        in_flight_max: usize,
    },
    /// As many bytes as allowed wait to be sent.
    #[error("{unsent_len} bytes wait to be sent")]
    QueueFull {
        /// How many wait.
        unsent_len: usize,
    },
    /// The message is too long, or its route.
    #[error("message cannot be encoded")]
    Encode {
        /// What is wrong with it.
        #[source]
        source: EncodeError,
    },
    /// What the client says of itself does not fit a packet.
    #[error("handshake cannot be encoded")]
    Handshake {
        /// What is wrong with it.
        #[source]
        source: PacketError,
    },
}
