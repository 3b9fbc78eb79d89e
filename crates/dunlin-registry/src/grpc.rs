//! The registry over gRPC: a service around a member's [`LocalRegistry`](crate::LocalRegistry), and [`RemoteRegistry`], which is one from afar.
//!
//! A store's refusal is an answer like any other, since it is the same on every member; what else fails is a status: `UNAVAILABLE`
//! without a leader or after the member stopped, `RESOURCE_EXHAUSTED` when it has too much to do, `DEADLINE_EXCEEDED` when it is not known what
//! came of it, `INVALID_ARGUMENT` for what is too long, `OUT_OF_RANGE` for a watch that is too far behind.
//!
//! - `grpc/messages.rs`: what is asked and answered. `docs/protocol/registry.md` has it in one place.
//! - `grpc/server.rs`: the service. `grpc/remote.rs`: the client; `grpc/members.rs`: its changes of members; `grpc/late_flush.rs`: how
//!   it writes.

mod late_flush;
mod members;
pub mod messages;
mod remote;
mod server;

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "written by tonic"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/dunlin.registry.v1.Registry.rs"));
}

pub use self::late_flush::LateFlush;
pub use self::remote::{RemoteError, RemoteRegistry};
pub use self::server::service;

/// The most that a message may have, in either direction: what a range gives, with room for its frame.
const MESSAGE_LEN_MAX: usize = 16 * 1024 * 1024;

/// The metadata of a watch's refusal that say up to where events are no longer kept.
const COMPACTED_REVISION: &str = "compacted-revision";
