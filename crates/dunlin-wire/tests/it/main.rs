//! Tests of the public API of dunlin-wire, in one binary: golden vectors, properties, and a client against a server.
#![cfg(test)]

mod conversation;
mod golden;
#[expect(
    clippy::let_underscore_must_use,
    reason = "of arbitrary input it only matters that the call returns"
)]
mod properties;
