//! The behaviour of a whole application, through its public face only. One file for each subject.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wrong_self_convention,
    reason = "a test that meets what it rules out fails"
)]

mod answers;
mod cluster;
mod crowds;
mod faults;
mod groups;
mod lifecycle;
mod order;
mod proxies;
mod slow_clients;
mod sockets;
mod stopping;
mod support;
mod tls;
