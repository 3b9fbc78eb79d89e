//! A node of a cluster under load: a gate that has clients and no handlers, or a backend that has the handlers and no clients.
//!
//! All its addresses are given, since nodes know of each other before they run. It ends with the bench.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use dunlin::{App, ClusterConfig, GateConfig, VoterConfig};
use dunlin_bench::handlers::with_handlers;
use dunlin_bench::serve;
use tokio::runtime::Builder;

#[derive(Debug, Parser)]
struct Arguments {
    /// What it is.
    #[arg(long, value_enum)]
    role: Role,
    /// Where the other nodes reach it.
    #[arg(long)]
    node: SocketAddr,
    /// Where clients reach it; a gate only.
    #[arg(long, required_if_eq("role", "gate"))]
    clients: Option<SocketAddr>,
    /// Where the voters are reached, in the order of their ids. It is one of them if its own address is there.
    #[arg(long, value_delimiter = ',')]
    voters: Vec<SocketAddr>,
    /// Where a voter has its log.
    #[arg(long)]
    dir: PathBuf,
    /// Shards, each a thread; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    shards: usize,
    /// Threads for everything else, such as the links; 0 is one for every two cores, as `dunlin serve` has by default.
    #[arg(long, default_value_t = 0)]
    workers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Clients, and no handlers.
    Gate,
    /// Handlers, and no clients.
    Backend,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let workers = match arguments.workers {
        0 => serve::workers(),
        workers => workers,
    };
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { role, node: addr, clients, voters, dir, shards, .. } = arguments;
    let urls: Vec<String> = voters.iter().map(|voter| format!("http://{voter}")).collect();
    let mut config = ClusterConfig::new(addr.to_string(), addr.to_string())
        .voters((1..).zip(urls.iter().map(String::as_str)));
    if let Some((id, _)) = (1..).zip(&voters).find(|(_, voter)| **voter == addr) {
        config = config.voter(VoterConfig::new(id, dir));
    }
    let mut app = App::new()
        .cluster(config)
        .configure(GateConfig::trust_clients)
        .configure(|gate| gate.shards = shards);
    if role == Role::Backend {
        app = with_handlers(app);
    }
    if let Some(clients) = clients {
        app = app.listen(clients);
    }
    let node = app.start().await.context("cannot start")?;
    serve::announce(clients.unwrap_or(addr))?;
    tokio::task::spawn_blocking(serve::wait_for_end).await?;
    // The processes of a bench end without a word: the others end at the same time.
    node.abort();
    Ok(())
}
