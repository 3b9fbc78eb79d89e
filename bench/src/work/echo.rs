//! Echo: every connection sends a batch of requests, waits for all the answers, and sends the next batch.
//!
//! Each answer is checked: its id must be one of the batch that is still open, its body the one that was sent.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::dialect::{Outbox, echo_body, request_id};
use crate::engine::{Engine, Job};
use crate::inbound::Inbound;
use crate::kernel::Meters;
use crate::report::{self, Report};

/// Name of the route that echoes, on every server that has routes.
pub const ROUTE: &str = "Bench.Echo";
/// Without a single answer for this long the rest counts as lost.
const SILENCE: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct EchoPlan {
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests of a batch, at most 64.
    #[arg(long, default_value_t = 1)]
    pub depth: u32,
    /// How long it measures.
    #[arg(long, default_value_t = 2000)]
    pub duration_ms: u64,
    /// How long it runs before that.
    #[arg(long, default_value_t = 500)]
    pub warm_up_ms: u64,
}

#[derive(Debug, Clone)]
struct Batch {
    first_sequence: u64,
    open_mask: u64,
    sent_at: Instant,
}

/// The state of an echo run.
#[derive(Debug)]
struct Echo {
    depth: u32,
    batches: Vec<Batch>,
    is_sending: bool,
    replies: u64,
    wrong: u64,
    times_ns: Histogram<u64>,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When a connection cannot be opened or the server's figures cannot be read.
pub fn run(engine: &mut Engine, meters: &Meters, plan: EchoPlan) -> Result<Report> {
    let EchoPlan { connections, depth, duration_ms, warm_up_ms } = plan;
    anyhow::ensure!((1..=64).contains(&depth), "the depth is 1 to 64");
    engine.open(connections)?;
    let start = Batch { first_sequence: 0, open_mask: 0, sent_at: Instant::now() };
    let mut echo = Echo {
        depth,
        batches: vec![start; connections],
        is_sending: true,
        replies: 0,
        wrong: 0,
        times_ns: report::times()?,
    };
    for conn in 0..connections {
        engine.send(conn, |out| echo.send_batch(conn, Instant::now(), out));
    }
    engine.run_for(&mut echo, Duration::from_millis(warm_up_ms))?;
    echo.times_ns.reset();
    let (replies_before, cpu_before, begin) = (echo.replies, meters.cpu()?, Instant::now());
    engine.run_for(&mut echo, Duration::from_millis(duration_ms))?;
    let (cpu_ns, elapsed) = (meters.cpu_since(&cpu_before)?, begin.elapsed());
    let mut report =
        Report { connections: Some(engine.open_count()), failed: engine.failed_count(), ..Report::default() };
    report.set_server_costs(echo.replies - replies_before, elapsed, &cpu_ns);
    report.set_times(&echo.times_ns);
    echo.is_sending = false;
    report.lost = Some(drain(engine, &mut echo)?);
    report.wrong = Some(echo.wrong);
    Ok(report)
}

/// Waits for the answers that are still missing and counts those that never come.
fn drain(engine: &mut Engine, echo: &mut Echo) -> Result<u64> {
    let mut last_progress = (echo.replies, Instant::now());
    while echo.missing() > 0 && last_progress.1.elapsed() < SILENCE {
        engine.turn(echo, Duration::from_millis(50))?;
        if echo.replies != last_progress.0 {
            last_progress = (echo.replies, Instant::now());
        }
    }
    Ok(echo.missing())
}

impl Echo {
    fn missing(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.open_mask.count_ones())).sum()
    }

    fn send_batch(&mut self, conn: usize, now: Instant, out: &mut Outbox<'_>) {
        let Some(batch) = self.batches.get_mut(conn) else { return };
        batch.first_sequence += u64::from(self.depth);
        batch.open_mask = u64::MAX >> (64 - self.depth);
        batch.sent_at = now;
        for offset in 0..u64::from(self.depth) {
            let sequence = batch.first_sequence + offset;
            out.put_request(sequence, ROUTE, &echo_body(conn, sequence));
        }
    }
}

impl Job for Echo {
    fn packet(&mut self, conn: usize, packet: Inbound<'_>, now: Instant, out: &mut Outbox<'_>) {
        let Some(batch) = self.batches.get_mut(conn) else { return };
        let Inbound::Reply { id, body } = packet else {
            self.wrong += 1;
            return;
        };
        // Ids run in a circle, so the place in the batch is the distance on that circle.
        let offset =
            (0..u64::from(self.depth)).find(|offset| request_id(batch.first_sequence + offset) == id);
        let Some(offset) = offset.filter(|offset| batch.open_mask & (1 << offset) != 0) else {
            self.wrong += 1;
            return;
        };
        batch.open_mask &= !(1 << offset);
        if body != echo_body(conn, batch.first_sequence + offset) {
            self.wrong += 1;
        }
        self.replies += 1;
        let waited = now.saturating_duration_since(batch.sent_at);
        self.times_ns.saturating_record(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
        if batch.open_mask == 0 && self.is_sending {
            self.send_batch(conn, now, out);
        }
    }
}
