//! An existing etcd v3 cluster as the registry: keys, leases, transactions and watches map one to one.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The code
//!
//! - `registry`: [`EtcdRegistry`], what programs use. `watch`: its watches. `cluster`: which member is asked, and how often.
//! - `translate`: a registry's words in etcd's, and back. `fate`: what became of a request that failed. Both are pure.
//! - [`client`]: one member, asked over gRPC. [`messages`]: as much of etcd's messages as that takes.
//! - [`limits`]: every bound with its reason.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod client;
mod cluster;
mod error;
mod fate;
pub mod limits;
pub mod messages;
mod registry;
mod translate;
mod watch;

pub use error::EtcdError;
pub use registry::EtcdRegistry;
