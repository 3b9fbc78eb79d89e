//! Tests of the public API of dunlin-rafthttp, in one binary: golden vectors, captured traffic, dialects, properties, and what is
//! admitted.
#![cfg(test)]

mod admission;
mod any;
mod captured;
mod captures;
mod dialects;
mod golden;
mod properties;
