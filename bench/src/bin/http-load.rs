//! One HTTP client under load: one kind of work against one server, and one JSON line with what was measured.

use std::sync::Arc;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use dunlin_bench::http::clients::{Client, Dunlin, Hyper, HyperUtil, Reqwest};
use dunlin_bench::http::{Target, steady, wave};
use dunlin_bench::kernel::Meter;
use dunlin_bench::report::{Report, print_within};

/// Loads one server with one client and prints one JSON line.
#[derive(Debug, Parser)]
struct Arguments {
    /// Who sends.
    #[arg(long, value_enum, default_value = "dunlin")]
    client: Name,
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
    /// hyper's connections without a pool.
    Hyper,
    /// hyper-util's legacy client.
    HyperUtil,
    /// reqwest.
    Reqwest,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Work {
    /// Requests over connections that are kept.
    Steady(steady::SteadyPlan),
    /// Many requests at once.
    Wave(wave::WavePlan),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One thread for each client, Go's too: the server has the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(print_within(arguments.limit_s, run(&arguments)))
}

async fn run(arguments: &Arguments) -> Result<Report> {
    let (target, work) = (&arguments.target, arguments.work);
    match arguments.client {
        Name::Dunlin => drive(Dunlin::new(target)?, work).await,
        Name::Hyper => drive(Arc::new(Hyper::new(target)?), work).await,
        Name::HyperUtil => drive(HyperUtil::new(target)?, work).await,
        Name::Reqwest => drive(Reqwest::new(target)?, work).await,
    }
}

async fn drive(client: impl Client, work: Work) -> Result<Report> {
    let meter = Meter::new(std::process::id());
    match work {
        Work::Steady(plan) => steady::run(client, meter, plan).await,
        Work::Wave(plan) => wave::run(client, meter, plan).await,
    }
}
