//! How long a heartbeat takes there and back while appends go the same way, so many a second.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::appends::{Log, Shape};
use super::sender::{Sender, SenderPlan};
use crate::report::{self, Report};

/// From one heartbeat, and a burst of appends, to the next.
const PERIOD: Duration = Duration::from_millis(5);

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct HeartbeatsPlan {
    #[command(flatten)]
    shape: Shape,
    /// Appends each second.
    #[arg(long)]
    rate: u64,
    /// Heartbeats that are measured.
    #[arg(long, default_value_t = 500)]
    heartbeats: u64,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the receiver does not answer.
pub async fn run(plan: &SenderPlan, heartbeats: HeartbeatsPlan) -> Result<Report> {
    let mut sender = Sender::start(plan).await?;
    let mut log = Log::new(heartbeats.shape);
    let origin = Instant::now();
    let burst = heartbeats.rate * u64::try_from(PERIOD.as_millis())? / 1000;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times_ns = report::times()?;
    let (mut sent, mut heard) = (0, 0);
    while heard < heartbeats.heartbeats {
        tokio::select! {
            _ = ticks.tick(), if sent < heartbeats.heartbeats => {
                sender.transport.send((0..burst).map(|_| log.next()));
                let now_ns = u64::try_from(origin.elapsed().as_nanos())?;
                sender.heartbeat(Bytes::copy_from_slice(&now_ns.to_be_bytes()));
                sent += 1;
            }
            echo = timeout(PATIENCE, sender.echo()) => {
                let Ok(Some(echo)) = echo else { break };
                // Answers to those that were sent to get to know each other have nothing in them.
                let Ok(sent_ns) = <[u8; 8]>::try_from(&echo[..]) else { continue };
                let now_ns = u64::try_from(origin.elapsed().as_nanos())?;
                times_ns.saturating_record(now_ns.saturating_sub(u64::from_be_bytes(sent_ns)));
                heard += 1;
            }
        }
    }
    let counted = sender.finish(log.appends).await?;
    let mut report = Report { ops: Some(heard), ..Report::default() };
    report.set_times(&times_ns);
    report.lost = Some(sent - heard + log.appends - counted.appends);
    report.wrong = Some(counted.wrong);
    Ok(report)
}
