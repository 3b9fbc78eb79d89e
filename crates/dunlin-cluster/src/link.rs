//! A link between two nodes: one stream of batches each way, dialed by the node whose sessions it is about.
//!
//! - `link/outgoing.rs`: what goes out, of either end. `link/peer.rs`: the end that dials, as whoever calls sees it.
//! - `link/dial.rs`: how it comes to be and comes back. `link/accept.rs`: the end that is dialed.
//! - `link/live.rs`: its life, the same at both ends. `link/codec.rs`: how batches are read, within limits.
//!
//! Invariants: frames arrive in the order in which they were sent, or the link ends; when it ends, every call that waits is told at once;
//! nothing waits for room: what does not fit is refused.

mod accept;
mod codec;
mod dial;
mod live;
mod outgoing;
mod peer;

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    clippy::default_constructed_unit_structs,
    reason = "written by tonic"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/dunlin.cluster.v1.Link.rs"));
}

pub use self::accept::Accepted;
pub(crate) use self::accept::{Guests, service};
pub(crate) use self::codec::BatchCodec;
pub(crate) use self::dial::{Dialer, chain, keep, tell_alive};
pub(crate) use self::outgoing::{Batches, Outgoing};
pub use self::peer::{Answering, Lost, Peer};
