//! The load generator: one kind of work against one server, and one JSON line with what was measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dunlin_bench::dialect::{Dialect, Transport};
use dunlin_bench::engine::Engine;
use dunlin_bench::kernel::Meters;
use dunlin_bench::work::{broadcast, churn, detect, echo, idle, who};

/// Loads one server over many connections and prints one JSON line.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long)]
    target: SocketAddr,
    /// What carries the packets.
    #[arg(long, value_enum, default_value = "ws")]
    transport: Transport,
    /// The server echoes packets as they are, without the protocol.
    #[arg(long)]
    raw: bool,
    /// Process ids of the server, for its processor time and memory; with several the sums count.
    #[arg(long, required = true)]
    pid: Vec<u32>,
    /// The first process is a gate to the others: nothing begins before it forwards to each of them.
    #[arg(long)]
    forwards: bool,
    /// Seconds after which the run is given up.
    #[arg(long, default_value_t = 120)]
    limit_s: u64,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Requests and their answers.
    Echo(echo::EchoPlan),
    /// Memory of connections that do nothing.
    Idle(idle::IdlePlan),
    /// Messages to a group.
    Broadcast(broadcast::BroadcastPlan),
    /// Connections that come and go.
    Churn(churn::ChurnPlan),
    /// A backend behind the gate that is killed or frozen.
    Detect(detect::DetectPlan),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dialect = Dialect { transport: arguments.transport, is_raw: arguments.raw };
    let backends = if arguments.forwards { arguments.pid.get(1..).unwrap_or_default() } else { &[] };
    who::wait_for(arguments.target, dialect, backends)?;
    let mut engine = Engine::new(arguments.target, dialect, Duration::from_secs(arguments.limit_s))?;
    let meters = Meters::new(&arguments.pid);
    let report = match arguments.work {
        Work::Echo(plan) => echo::run(&mut engine, &meters, plan),
        Work::Idle(plan) => idle::run(&mut engine, &meters, plan),
        Work::Broadcast(plan) => broadcast::run(&mut engine, &meters, plan),
        Work::Churn(plan) => churn::run(&mut engine, &meters, plan),
        Work::Detect(plan) => detect::run(&mut engine, backends, plan),
    }?;
    report.print()
}
