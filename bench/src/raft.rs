//! Two members of a Raft group, each a process of its own, with a transport of ours and no Raft behind it: one sends appends,
//! heartbeats or a snapshot, the other counts them.
//!
//! - `raft/receiver.rs` counts, and says how far it is when it is asked or every so many appends.
//! - `raft/appends.rs`, `raft/heartbeats.rs`, `raft/snapshot.rs`: what the sender does.
//! - `raft/sender.rs`: what these share.
//!
//! The Go peer, `bench/peers/go-rafthttp`, takes the same arguments, sends the same messages and prints the same line.

pub mod appends;
pub mod heartbeats;
pub mod receiver;
pub mod sender;
pub mod snapshot;

use dunlin_rafthttp::{Builder, ClusterId, MemberId, Raft, StartError, Transport};

/// The member that sends.
pub const SENDER: MemberId = MemberId(1);

/// The member that receives.
pub const RECEIVER: MemberId = MemberId(2);

/// The receiver says how far it is after so many appends.
pub const APPENDS_PER_ANSWER: u64 = 64;

/// The term of everything.
const TERM: u64 = 1;

/// A transport in plain text: the bench stays on the loopback.
fn start(
    id: MemberId,
    set_up: impl FnOnce(Builder) -> Builder,
    raft: impl Raft,
) -> Result<Transport, StartError> {
    set_up(Transport::builder(id, ClusterId(0x1000)).plain_text()).start(raft)
}
