//! Rooms that two backends share: two gates and two backends in one process, over real sockets on loopback.
//!
//! A client of either gate may enter any room. `rooms.rs` has the service, its tests what happens when a backend dies.

mod rooms;

use std::error::Error;
use std::io::{Write as _, stdout};

use dunlin::{App, ClusterConfig, Node};
use dunlin_registry::MemoryRegistry;

/// Starts a node of the cluster on a free port.
async fn start(app: App, name: &str, registry: &MemoryRegistry) -> Result<Node, Box<dyn Error>> {
    // All nodes are in this process, so what they know of each other may be in its memory. Nodes on several machines name voters.
    let config = ClusterConfig::new(name, "127.0.0.1:0").registry(registry.clone());
    Ok(app.cluster(config).start().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = MemoryRegistry::new();
    let backends = [
        start(rooms::backend(), "rooms-1", &registry).await?,
        start(rooms::backend(), "rooms-2", &registry).await?,
    ];
    let one = start(rooms::gate().listen("127.0.0.1:3251"), "gate-1", &registry).await?;
    let two = start(rooms::gate().listen("127.0.0.1:3252"), "gate-2", &registry).await?;
    writeln!(stdout(), "enter a room at ws://127.0.0.1:3251 or ws://127.0.0.1:3252, Ctrl-C ends")?;
    tokio::signal::ctrl_c().await?;
    // Gates first, so that whatever their clients asked is answered.
    for node in [&one, &two].into_iter().chain(&backends) {
        node.stop().await;
    }
    Ok(())
}
