//! Keep-alive: so many tasks, each sends a request, reads the answer to its end, and sends the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::clients::{Client, Session};
use crate::kernel::Meter;
use crate::report::{self, Report};

/// The body of every answer.
pub const BODY: &[u8] = b"hello";

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SteadyPlan {
    /// Tasks that send at a time.
    #[arg(long, default_value_t = 16)]
    pub tasks: usize,
    /// How long it measures.
    #[arg(long, default_value_t = 2000)]
    pub duration_ms: u64,
    /// How long it runs before that.
    #[arg(long, default_value_t = 500)]
    pub warm_up_ms: u64,
}

const WARM_UP: u8 = 0;
const COUNTED: u8 = 1;
const OVER: u8 = 2;

/// What one task saw while it was counted.
#[derive(Debug, Default)]
struct Seen {
    times: Vec<Duration>,
    lost: u64,
    wrong: u64,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When a connection cannot be opened or the kernel's figures cannot be read.
pub async fn run(client: impl Client, meter: Meter, plan: SteadyPlan) -> Result<Report> {
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let mut tasks = JoinSet::new();
    for _ in 0..plan.tasks {
        tasks.spawn(work(client.session().await?, phase.clone()));
    }
    sleep(Duration::from_millis(plan.warm_up_ms)).await;
    let (cpu_before, begin) = (meter.cpu()?, Instant::now());
    phase.store(COUNTED, Ordering::Release);
    sleep(Duration::from_millis(plan.duration_ms)).await;
    phase.store(OVER, Ordering::Release);
    let (elapsed, cpu_ns) = (begin.elapsed(), meter.cpu()?.since(&cpu_before));
    let mut times_ns = report::times()?;
    let (mut lost, mut wrong) = (0, 0);
    while let Some(seen) = tasks.join_next().await {
        let seen = seen?;
        lost += seen.lost;
        wrong += seen.wrong;
        for time in seen.times {
            times_ns.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let mut report = Report { lost: Some(lost), wrong: Some(wrong), ..Report::default() };
    report.set_client_cost(times_ns.len(), elapsed, cpu_ns);
    report.set_times(&times_ns);
    Ok(report)
}

/// Sends until it is over. What ends in the counted time is counted; a failure counts whenever it happens.
async fn work(mut session: impl Session, phase: Arc<AtomicU8>) -> Seen {
    let mut seen = Seen::default();
    loop {
        let sent_at = Instant::now();
        let answer = session.get().await;
        let time = sent_at.elapsed();
        let now = phase.load(Ordering::Acquire);
        match answer {
            Ok(body) if body == BODY => {
                if now == COUNTED {
                    seen.times.push(time);
                }
            }
            Ok(_) => seen.wrong += 1,
            Err(_) => {
                seen.lost += 1;
                // A client that can only fail must not spin until the end.
                sleep(Duration::from_millis(1)).await;
            }
        }
        if now == OVER {
            return seen;
        }
    }
}
