//! One member of a Raft group under load: it receives until the bench is over, or sends and prints one JSON line.

use anyhow::Result;
use clap::{Parser, Subcommand};
use dunlin_bench::raft::receiver::{self, ReceiverPlan};
use dunlin_bench::raft::sender::SenderPlan;
use dunlin_bench::raft::{appends, heartbeats, snapshot};
use dunlin_bench::report::{Report, print_within};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

/// What this member does.
#[derive(Debug, Subcommand)]
enum Role {
    /// Counts what comes.
    Receive(ReceiverPlan),
    /// Sends.
    Send(SendArguments),
}

#[derive(Debug, clap::Args)]
struct SendArguments {
    #[command(flatten)]
    plan: SenderPlan,
    /// Seconds after which the run is given up.
    #[arg(long, default_value_t = 60)]
    limit_s: u64,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Work {
    /// Appends, as many as the receiver takes.
    Appends(appends::AppendsPlan),
    /// Heartbeats beside appends.
    Heartbeats(heartbeats::HeartbeatsPlan),
    /// One snapshot.
    Snapshot(snapshot::SnapshotPlan),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One thread for each member, Go's too: each has a core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &arguments.role {
        Role::Receive(plan) => runtime.block_on(receiver::run(plan)),
        Role::Send(send) => runtime.block_on(print_within(send.limit_s, run(send))),
    }
}

async fn run(send: &SendArguments) -> Result<Report> {
    match send.work {
        Work::Appends(plan) => appends::run(&send.plan, plan).await,
        Work::Heartbeats(plan) => heartbeats::run(&send.plan, plan).await,
        Work::Snapshot(plan) => snapshot::run(&send.plan, plan).await,
    }
}
