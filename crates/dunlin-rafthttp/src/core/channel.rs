//! The ways a message may take to a peer, and which of them it takes.

use std::fmt;

use crate::raftpb::{Message, MessageType};

/// The two endless responses of which a peer reads its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// `/raft/stream/msgapp`: appends of a leader, in short form.
    MsgApp,
    /// `/raft/stream/message`: everything else.
    Message,
}

impl StreamKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MsgApp, Self::Message];

    /// As it stands in the path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MsgApp => "msgapp",
            Self::Message => "message",
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// One of the streams that the peer reads.
    Stream(StreamKind),
    /// One of the streams that we read from the peer; nothing is sent by it.
    Reader(StreamKind),
    /// A `POST` for each message.
    Pipeline,
    /// The `POST` of a snapshot with its database.
    Snapshot,
}

impl Channel {
    /// The way of a message to a peer that reads these streams now. Snapshots in a message go by the pipeline, so that
    /// they hold up no stream; what has no stream goes there too.
    #[must_use]
    pub fn pick(message: &Message, has_msgapp: bool, has_message: bool) -> Self {
        if message.is(MessageType::Snap) {
            Self::Pipeline
        } else if has_msgapp && message.is(MessageType::App) {
            Self::Stream(StreamKind::MsgApp)
        } else if has_message {
            Self::Stream(StreamKind::Message)
        } else {
            Self::Pipeline
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(kind) => write!(f, "{kind} stream"),
            Self::Reader(kind) => write!(f, "reader of the {kind} stream"),
            Self::Pipeline => f.write_str("pipeline"),
            Self::Snapshot => f.write_str("snapshot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_the_best_way_that_is_there() {
        use Channel::{Pipeline, Stream};
        use StreamKind::{Message as General, MsgApp};
        let rows = [
            (MessageType::Snap, true, true, Pipeline),
            (MessageType::Snap, false, false, Pipeline),
            (MessageType::App, true, true, Stream(MsgApp)),
            (MessageType::App, true, false, Stream(MsgApp)),
            (MessageType::App, false, true, Stream(General)),
            (MessageType::App, false, false, Pipeline),
            (MessageType::Prop, true, true, Stream(General)),
            (MessageType::Prop, true, false, Pipeline),
            (MessageType::Heartbeat, true, true, Stream(General)),
            (MessageType::Heartbeat, true, false, Pipeline),
        ];
        for (msg_type, has_msgapp, has_message, expected) in rows {
            let message = Message { msg_type: msg_type.into(), ..Message::default() };
            let picked = Channel::pick(&message, has_msgapp, has_message);
            assert_eq!(picked, expected, "{msg_type:?} with msgapp {has_msgapp}, message {has_message}");
        }
    }
}
