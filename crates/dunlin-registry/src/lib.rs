//! A replicated registry and key-value store on Raft.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod consensus;
pub mod driver;
mod error;
pub mod grpc;
pub mod http;
pub mod lease_clock;
pub mod limits;
pub mod log;
mod node;
mod registry;
pub mod store;

pub use error::RegistryError;
pub use node::{Begin, Health, Node, NodeConfig, StartError, State};
pub use registry::{Consistency, Registry, Watch};
