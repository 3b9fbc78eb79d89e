//! The replicated registry: a state machine, a log, a Raft core, and what runs them.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The code
//!
//! - [`store`]: the state machine. [`consensus`]: what is needed of a Raft core, and one. [`driver`]: a member as a state machine.
//!   [`lease_clock`]: when leases are over. None of them knows a clock, a disk or a socket.
//! - [`log`]: the log on a disk.
//! - `node`: what runs, in tasks and threads. `registry`: what programs use, as a trait; `local`: a member's own, `memory`: a process's alone,
//!   [`grpc`]: from afar. [`http`]: four routes. `lock`: locks. [`nodes`]: who is in a cluster.
//! - `conformance`: what every registry must do, as claims that tests make; with the feature of that name.
//! - [`limits`]: every bound with its reason.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod consensus;
pub mod driver;
mod error;
pub mod grpc;
pub mod http;
pub mod lease_clock;
pub mod limits;
mod local;
mod lock;
pub mod log;
mod memory;
mod node;
pub mod nodes;
mod numbers;
mod registry;
pub mod store;
mod watch;

pub use error::RegistryError;
pub use local::LocalRegistry;
pub use lock::{Held, Lock};
pub use memory::MemoryRegistry;
pub use node::{Begin, Health, Node, NodeConfig, StartError, State};
pub use registry::{Consistency, Registry, RegistryExt};
pub use watch::{Watch, WatchSource};
