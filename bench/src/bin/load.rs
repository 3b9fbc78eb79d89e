//! The load generator: one kind of work against one server, and one JSON line with what was measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dunlin_bench::dialect::{Dialect, Transport};
use dunlin_bench::engine::Engine;
use dunlin_bench::kernel::Meter;
use dunlin_bench::work::{broadcast, churn, echo, idle};

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
    /// Process id of the server, for its processor time and memory.
    #[arg(long)]
    pid: u32,
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
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dialect = Dialect { transport: arguments.transport, is_raw: arguments.raw };
    let mut engine = Engine::new(arguments.target, dialect, Duration::from_secs(arguments.limit_s))?;
    let meter = Meter::new(arguments.pid);
    let report = match arguments.work {
        Work::Echo(plan) => echo::run(&mut engine, meter, plan),
        Work::Idle(plan) => idle::run(&mut engine, meter, plan),
        Work::Broadcast(plan) => broadcast::run(&mut engine, meter, plan),
        Work::Churn(plan) => churn::run(&mut engine, meter, plan),
    }?;
    report.print()
}
