//! A wave: many requests at the same moment, by a client that may have few connections.
//!
//! The server says in each answer how many connections it has accepted; one more request at the end hears of them all.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::clients::{Client, Session};
use crate::kernel::Meter;
use crate::report::{self, Report};

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WavePlan {
    /// Requests that are sent at once.
    #[arg(long, default_value_t = 2000)]
    pub requests: usize,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the server does not say how many connections it has, or the kernel's figures cannot be read.
pub async fn run(client: impl Client, meter: Meter, plan: WavePlan) -> Result<Report> {
    let mut last = client.session().await?;
    let (cpu_before, begin) = (meter.cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..plan.requests {
        tasks.spawn(work(client.session().await?));
    }
    let mut times_ns = report::times()?;
    let (mut lost, mut wrong) = (0, 0);
    while let Some(answer) = tasks.join_next().await {
        match answer? {
            Ok((body, time)) => {
                wrong += u64::from(count(&body).is_none());
                times_ns.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            }
            Err(_) => lost += 1,
        }
    }
    let (elapsed, cpu_ns) = (begin.elapsed(), meter.cpu()?.since(&cpu_before));
    let connections = count(&last.get().await?).context("the server did not count its connections")?;
    let mut report = Report { connections: Some(connections), ..Report::default() };
    report.set_client_cost(times_ns.len(), elapsed, cpu_ns);
    report.set_times(&times_ns);
    report.total_ms = Some(elapsed.as_secs_f64() * 1000.0);
    (report.lost, report.wrong) = (Some(lost), Some(wrong));
    Ok(report)
}

async fn work(mut session: impl Session) -> Result<(Bytes, Duration)> {
    let sent_at = Instant::now();
    Ok((session.get().await?, sent_at.elapsed()))
}

fn count(body: &[u8]) -> Option<usize> {
    std::str::from_utf8(body).ok()?.parse().ok()
}
