//! A group of members under load: one kind of work, and one JSON line with what was measured.

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use dunlin_bench::registry::clients::{Client, Dunlin};
use dunlin_bench::registry::{Target, requests, watches};
use dunlin_bench::report::{Report, print_within};
use dunlin_etcd::client::Etcd;

#[derive(Debug, Parser)]
struct Arguments {
    /// Whose members these are.
    #[arg(long, value_enum, default_value = "dunlin")]
    side: Name,
    #[command(flatten)]
    target: Target,
    /// Seconds after which the run is given up.
    #[arg(long, default_value_t = 60)]
    limit_s: u64,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// Ours.
    Dunlin,
    /// etcd's.
    Etcd,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Work {
    /// Puts or gets.
    Requests(requests::RequestsPlan),
    /// Watchers of one key.
    Watches(watches::WatchesPlan),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(print_within(arguments.limit_s, run(&arguments)))
}

async fn run(arguments: &Arguments) -> Result<Report> {
    match arguments.side {
        Name::Dunlin => drive::<Dunlin>(arguments).await,
        Name::Etcd => drive::<Etcd>(arguments).await,
    }
}

async fn drive<C: Client>(arguments: &Arguments) -> Result<Report> {
    match arguments.work {
        Work::Requests(plan) => requests::run::<C>(&arguments.target, plan).await,
        Work::Watches(plan) => watches::run::<C>(&arguments.target, plan).await,
    }
}
