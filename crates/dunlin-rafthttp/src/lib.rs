//! Raft's messages between nodes, over HTTP, in the bytes of etcd's package rafthttp.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The code
//!
//! - [`raftpb`]: the types of Raft on the wire, and how they are read within limits.
//! - [`codec`]: the two streams, `/raft/stream/message` and `/raft/stream/msgapp`, and the body of `/raft/snapshot`.
//! - `core`: what a node does about its peers, decided without IO, clock or randomness; [`admit`] is what may reach Raft.
//! - `net`: the shells around that: sockets, tasks, timers.
//! - [`limits`]: every bound with its reason.
//!
//! The bytes are described in `docs/protocol/raft.md` in the repository; sections named in these documents are sections of that
//! page. Which of etcd's behaviours is held by which test: `docs/rafthttp-behaviours.md`.
//!
//! Invariants: nothing of ours waits for a peer; a peer's bytes never panic, and nothing is allocated for a length or a count before it was checked against its
//! limit; the same bytes give the same messages however they were split on the way; between messages a decoder holds no buffer;
//! an encoder that returns an error has touched neither its output nor its state.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod builder;
pub mod codec;
mod config;
mod core;
mod directory;
pub mod limits;
mod net;
mod node;
mod raft;
pub mod raftpb;
mod transport;

pub use crate::core::{
    Admission, Channel, ChannelState, ClusterId, ConfigurationError, FollowerStats, IdError, Ignored,
    LatencyStats, LeaderStats, LocalView, MemberId, PeerUrls, ProbeAnswer, ProbeAnswerError, ProbeHealth,
    ProbeLook, Refusal, ServerRole, ServerStatsReport, ServerVersion, Strangers, StreamKind,
    UnsupportedStream, UrlError, VersionError, admit,
};
pub use builder::{Builder, StartError};
pub use codec::{
    EncodeError, MessageDecoder, MessageStreamError, MsgAppDecoder, MsgAppEncoder, MsgAppError, Output,
    Pieces, SnapshotBody, SnapshotBodyError, SnapshotDecoder, SnapshotError, SnapshotEvent, StreamEnds,
    StreamEvent, encode_message, encode_snapshot_head,
};
pub use limits::RaftLimits;
pub use net::is_near;
pub use net::metrics::PeerTraffic;
pub use net::server::AnswerBody;
pub use net::snapshot::{Snapshot, file_name as snapshot_file_name};
pub use net::tls::PeerTls;
pub use node::Critical;
pub use raft::{ProcessError, Raft, SnapshotStatus};
pub use transport::Transport;
