//! The peer `bare`: an echo on the gate's poll layout without the packet protocol, one thread a shard.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use anyhow::{Context, Result};
use clap::Parser;
use dunlin_bench::bare::{BareShard, listen};
use dunlin_bench::dialect::Transport;
use dunlin_bench::serve;
use mio::net::TcpListener;

/// Echoes TCP bytes or WebSocket frames.
#[derive(Debug, Parser)]
struct Arguments {
    /// What carries the packets.
    #[arg(long, value_enum, default_value = "ws")]
    transport: Transport,
    /// Threads, each with its own listener; by default one a core, as the gate does it.
    #[arg(long)]
    shards: Option<usize>,
}

fn main() -> Result<()> {
    let Arguments { transport, shards } = Arguments::parse();
    let count = shards.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).context("cannot listen")?;
    let addr = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(listen(addr).context("cannot share the address")?);
    }
    for listener in listeners {
        // A shard that fails shows as connections that fail, which ends the run of the load.
        thread::spawn(move || run_shard(listener, transport));
    }
    serve::announce(addr)?;
    serve::wait_for_end();
    Ok(())
}

fn run_shard(listener: TcpListener, transport: Transport) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(tokio::task::unconstrained(async { Ok(BareShard::new(listener, transport)?.run().await?) }))
}
