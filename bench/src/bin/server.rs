//! dunlin under load: an echo and a broadcast on raw bytes, WebSocket and TCP on one address.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use clap::Parser;
use dunlin::{App, GateConfig};
use dunlin_bench::handlers::with_handlers;
use dunlin_bench::serve;

/// Serves the handlers of the bench.
#[derive(Debug, Parser)]
struct Arguments {
    /// Shards, each a thread; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    shards: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // What is measured is how much the gate can do, so nothing may hold its clients back.
        let app =
            App::new().configure(GateConfig::trust_clients).configure(|gate| gate.shards = arguments.shards);
        let app = with_handlers(app);
        let node = app.listen(addr).start().await.context("cannot start")?;
        serve::announce(*node.addrs().first().context("no address")?)?;
        tokio::task::spawn_blocking(serve::wait_for_end).await?;
        Ok(())
    })
}
