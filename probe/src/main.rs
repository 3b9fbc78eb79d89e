//! The program of `cargo xtask faults cluster`: a node of a cluster, or a crowd of clients that look at every answer and every push.
//!
//! - `node.rs`, `service.rs`: a node, and the service that backends have.
//! - `crowd.rs`, `client.rs`, `wire.rs`: the clients, one of them, and its connection.
//! - `judge.rs`: what a client may be answered and pushed, as a state machine. Start here.
//! - `words.rs`, `report.rs`: what clients and backends say to each other, and what all clients saw.
//!
//! Knows nothing of what happens to nodes: the chore does that, and only tells the clients when.

mod client;
mod crowd;
mod judge;
mod node;
mod report;
mod service;
mod wire;
mod words;

use anyhow::Result;
use clap::Parser;

/// What this process is.
#[derive(Debug, Parser)]
enum Role {
    /// A node.
    Node(node::NodeArguments),
    /// The clients.
    Clients(crowd::CrowdArguments),
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match Role::parse() {
        Role::Node(arguments) => node::run(&arguments).await,
        Role::Clients(arguments) => crowd::run(&arguments).await,
    }
}
