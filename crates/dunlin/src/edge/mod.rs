//! The edge: client connections in tables, one shard for each core.
//!
//! Read from the inside out. `agent/` is one connection as a state machine: bytes, calls and ticks in; bytes, calls
//! and an end out. `turn/` keeps the agents of a shard in a table and takes one bounded turn at a time, over the
//! traits of `net.rs`, so that it runs without sockets. `socket/` and `memory.rs` are the two networks: real sockets
//! in a poll of their own, and pipes inside the process. `shard.rs` is the only async code: it awaits and takes turns.
//!
//! Invariants: nothing is buffered for an idle connection; every queue is bounded; a turn ends within its budgets.

mod agent;
mod calls;
mod drain;
mod inbox;
mod key;
mod memory;
mod net;
mod shard;
mod socket;
mod turn;
mod wheel;

pub(crate) use agent::FloodLimit;
pub(crate) use calls::{Outcome, awaited};
pub(crate) use inbox::Inbox;
pub(crate) use key::SlotKey;
pub(crate) use memory::{MemoryConnector, MemoryNet, MemoryPipe};
pub(crate) use shard::{Shard, ShardHandle};
pub(crate) use socket::{AcceptGate, AcceptLimits, BoundListener, Proxies, SocketNet, bind_shards};
pub use socket::{Listen, ServerTls, TlsError, TlsFiles};
pub(crate) use turn::EVENTS_MAX;
