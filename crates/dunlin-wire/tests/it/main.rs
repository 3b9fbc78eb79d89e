//! Tests of the public API of dunlin-wire, in one binary: golden vectors, properties, and a client against a server.

mod conversation;
mod golden;
mod properties;
