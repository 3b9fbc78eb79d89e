//! The parts of the load generator: what it speaks, its sockets, the kernel's figures of the server, and the kinds of work.
//! Beside them `bare.rs`, a peer of our own, `http/`, the HTTP clients that are compared as clients, and `raft/`, the two members of a
//! Raft group, and `registry/`, the load of key-value stores.
//!
//! One thread, one `mio::Poll`, no runtime: the generator shares the machine with the server it measures, so it
//! must cost as little as it can. It is written apart from the server on purpose: it checks every frame, packet and
//! message with code that the server does not use. Read next: `engine.rs`, then one of `work/`.

pub mod bare;
pub mod dialect;
pub mod engine;
pub mod handlers;
pub mod http;
pub mod inbound;
pub mod kernel;
pub mod raft;
pub mod registry;
pub mod report;
pub mod serve;
pub mod work;
