//! A snapshot with a large database: how long it takes, and how much memory it takes of both sides.

use std::time::Instant;

use anyhow::{Result, ensure};
use dunlin_rafthttp::raftpb::{ConfState, Message, MessageType, Snapshot as RaftSnapshot, SnapshotMetadata};
use dunlin_rafthttp::{Snapshot, SnapshotStatus};
use tokio::io::AsyncReadExt as _;

use super::sender::{Sender, SenderPlan};
use super::{RECEIVER, SENDER, TERM};
use crate::report::Report;

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SnapshotPlan {
    /// Bytes of the database.
    #[arg(long, default_value_t = 256 << 20)]
    len: u64,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the snapshot does not arrive.
pub async fn run(plan: &SenderPlan, snapshot: SnapshotPlan) -> Result<Report> {
    let sender = Sender::start(plan).await?;
    let conf_state = ConfState { voters: vec![SENDER.0, RECEIVER.0], ..ConfState::default() };
    let metadata = SnapshotMetadata { index: 7, term: TERM, conf_state };
    let message = Message {
        msg_type: MessageType::Snap.into(),
        from: SENDER.0,
        to: RECEIVER.0,
        term: TERM,
        snapshot: RaftSnapshot { metadata, ..RaftSnapshot::default() },
        ..Message::default()
    };
    let mut idle = 0;
    for meter in sender.meters {
        meter.forget_peak()?;
        idle += meter.rss()?;
    }
    let (cpu_before, begin) = (sender.cpu()?, Instant::now());
    let database = Box::pin(tokio::io::repeat(b'x').take(snapshot.len));
    sender.transport.send_snapshot(Snapshot { message, database, database_len: snapshot.len }).await;
    ensure!(sender.snapshot_status().await == Some(SnapshotStatus::Finished), "the snapshot did not arrive");
    let (elapsed, cpu) = (begin.elapsed(), sender.cpu()?.since(&cpu_before));
    let mut peak = 0;
    for meter in sender.meters {
        peak += meter.peak()?;
    }
    let mut report = Report::default();
    report.set_both_costs(1, elapsed, cpu);
    report.total_ms = Some(elapsed.as_secs_f64() * 1000.0);
    report.peak_bytes = Some(peak.saturating_sub(idle));
    report.lost = Some(0);
    Ok(report)
}
