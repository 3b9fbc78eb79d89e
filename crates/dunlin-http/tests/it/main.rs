//! Behaviour of the transport through its public face: over pipes inside the process with paused time where nothing
//! else is needed, over real sockets in `sockets.rs`. Which test stands for which of Go's behaviours:
//! `docs/http-behaviours.md`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod bodies;
mod secure;
mod servers;
mod support;

mod cancel;
mod client_conn;
mod deaths;
mod dialing;
mod drain;
mod early;
mod expect;
mod goodbyes;
mod http2;
mod layers;
mod leaks;
mod limits;
mod proxy;
mod queue;
mod retry;
mod reuse;
mod sockets;
mod streams;
mod timeouts;
mod tls;
mod tracing;
