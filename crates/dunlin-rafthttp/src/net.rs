//! The shells around the decisions of [`core`](crate::core): sockets, tasks and timers, nothing that could be decided
//! without them.
//!
//! - `server.rs` answers the peers, `serve.rs` accepts their connections; `outgoing.rs` is the endless response that a
//!   peer reads its messages from.
//! - `reader.rs` reads ours from the peers, `pipeline.rs` posts single messages, `snapshot.rs` whole snapshots.
//! - `probing.rs` asks the peers whether they are there.
//! - `tls.rs` knows who a peer can prove to be, `near.rs` which addresses need no proof to be trusted.
//! - `metrics.rs` counts; `link.rs` is what they share of one peer, `inbox.rs` what came from it and waits for Raft.

pub(crate) mod headers;
pub(crate) mod inbox;
pub(crate) mod link;
pub(crate) mod metrics;
mod near;
pub(crate) mod outgoing;
pub(crate) mod pipeline;
pub(crate) mod probing;
pub(crate) mod reader;
pub(crate) mod serve;
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod tls;

pub use self::near::is_near;
