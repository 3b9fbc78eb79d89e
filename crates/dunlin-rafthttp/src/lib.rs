//! Raft messages between nodes, in the bytes of etcd's package rafthttp: a node of ours and one of etcd's can be members of one cluster.
//!
//! What is there is the pure half: no socket, clock, randomness or task.
//!
//! - [`raftpb`]: the types of Raft on the wire, and how they are read within limits. Start here.
//! - [`limits`]: every bound with its reason.
//!
//! What is not there yet are the codecs of the streams, and the transport: who calls whom over HTTP, with which headers, queues,
//! deadlines and probes, and what a node does about a peer that is gone. The bytes are described in `docs/protocol/raft.md` in the
//! repository; sections named in these documents are sections of that page.
//!
//! Invariant: a peer's bytes never panic, and nothing is allocated for a length or a count before it was checked against its
//! limit.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod limits;
pub mod raftpb;

pub use limits::RaftLimits;
