//! Tests of the public API of dunlin-rafthttp, in one binary: golden vectors, captured traffic, dialects, properties, and what is
//! admitted.
#![cfg(test)]

mod admission;
mod any;
mod asking;
mod captured;
mod captures;
mod dialects;
mod endpoints;
mod exported;
mod faults;
mod golden;
mod members;
mod properties;
mod scripted;
mod snapshots;
mod tls;
mod transport;
mod wire;
