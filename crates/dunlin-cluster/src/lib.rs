//! Nodes that work as one server: who serves what, and the links between them.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The code
//!
//! - [`core`]: what decides, without IO, clock or randomness: which node a call goes to, what waits on a link, whether a link lives.
//! - [`frame`]: what nodes say to each other.
//! - `link`: a link between two nodes, from both ends. `net`: how nodes reach each other, over sockets or in memory.
//! - `nano`: nodes of Go's nano as nodes of the cluster.
//! - `outsider`: the registry as it is asked by somebody who is no node.
//! - [`files`]: what is read from files and again when they changed. `tls`: what makes connections secret.
//! - `port`: the one port of a node: links, the registry, Raft. `cluster`: the handle, and how it starts and ends.
//! - [`limits`]: every bound with its reason.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod cluster;
mod config;
pub mod core;
mod error;
pub mod files;
pub mod frame;
mod host;
pub mod limits;
mod link;
mod nano;
mod net;
mod outsider;
mod port;
mod tls;

pub use cluster::Cluster;
pub use config::{ClusterConfig, Offer, Timing, VoterConfig};
pub use dunlin_rafthttp::is_near;
pub use error::{FrameError, SendError, StartError};
pub use host::{Host, LinkHandler};
pub use link::{Accepted, Answering, Lost, Peer};
pub use net::{Io, Listening, MemoryNetwork, Network, TcpNetwork};
pub use outsider::{OutsiderError, registry_over_tls};
pub use tls::{TlsConfig, TlsError};
