//! Churn: round after round of connections that are opened, made ready and closed again; what stays behind is a leak.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::engine::{Engine, NoJob};
use crate::kernel::Meters;
use crate::report::{Report, growth_per};

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ChurnPlan {
    /// Connections of a round.
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,
    /// Rounds.
    #[arg(long, default_value_t = 10)]
    pub rounds: u8,
    /// Time of rest between rounds, before memory is read.
    #[arg(long, default_value_t = 300)]
    pub settle_ms: u64,
}

/// Runs the plan and reports. Memory is compared from the end of the first round to the end of the last.
///
/// # Errors
///
/// When a connection cannot be opened or the server's figures cannot be read.
pub fn run(engine: &mut Engine, meters: &Meters, plan: ChurnPlan) -> Result<Report> {
    let cpu_before = meters.cpu()?;
    let mut opening = Duration::ZERO;
    let mut rss = Vec::new();
    for round in 0..plan.rounds {
        // Ports of closed connections rest for a while; another address of the loopback has its own.
        engine.set_source(2 + round % 200);
        let begin = Instant::now();
        engine.open(plan.connections)?;
        opening += begin.elapsed();
        engine.close_all();
        engine.run_for(&mut NoJob, Duration::from_millis(plan.settle_ms))?;
        rss.push(meters.rss()?);
    }
    let cpu_ns = meters.cpu_since(&cpu_before)?;
    let per_round = u64::try_from(plan.connections)?;
    let mut report =
        Report { connections: Some(plan.connections), failed: engine.failed_count(), ..Report::default() };
    report.set_server_costs(per_round * u64::from(plan.rounds), opening, &cpu_ns);
    if let [first, .., last] = rss[..] {
        let closed = per_round * u64::from(plan.rounds - 1);
        report.bytes_per_closed = Some(growth_per(first, last, closed));
    }
    report.rss_kib_by_round = rss.iter().map(|bytes| bytes / 1024).collect();
    Ok(report)
}
