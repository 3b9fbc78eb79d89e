//! The client against a server in the same process, over real sockets and, where time matters, over pipes under a paused clock.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod closing;
mod connecting;
mod faults;
mod pushes;
mod reconnecting;
mod requests;
mod server;
