//! Appends as fast as the receiver takes them: so many may be on their way, as a leader's window has it.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use dunlin_rafthttp::raftpb::{Entry, Message, MessageType};

use super::sender::{Sender, SenderPlan};
use super::{RECEIVER, SENDER, TERM};
use crate::report::{Report, float};

/// Bytes of entries that may be on their way. A queue of either side holds more.
const WINDOW_BYTES: usize = 16 << 20;

/// Appends that may be on their way: half of what a queue of either side holds.
const WINDOW_APPENDS: u64 = 2048;

/// What to send.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Shape {
    /// Entries of one append.
    #[arg(long)]
    pub entries: usize,
    /// Bytes of one entry.
    #[arg(long)]
    pub entry_len: usize,
}

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct AppendsPlan {
    #[command(flatten)]
    shape: Shape,
    /// How long it measures.
    #[arg(long, default_value_t = 2000)]
    duration_ms: u64,
    /// How long it runs before that.
    #[arg(long, default_value_t = 500)]
    warm_up_ms: u64,
}

/// A log that grows, as appends.
#[derive(Debug)]
pub(super) struct Log {
    shape: Shape,
    data: Bytes,
    index: u64,
    /// Appends taken from it.
    pub(super) appends: u64,
}

impl Log {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, data: vec![b'x'; shape.entry_len].into(), index: 0, appends: 0 }
    }

    /// The next append.
    pub(super) fn next(&mut self) -> Message {
        let index = self.index;
        let entries = (0..self.shape.entries).map(|_| {
            self.index += 1;
            Entry { term: TERM, index: self.index, data: self.data.clone(), ..Entry::default() }
        });
        let entries = entries.collect();
        self.appends += 1;
        Message {
            msg_type: MessageType::App.into(),
            from: SENDER.0,
            to: RECEIVER.0,
            term: TERM,
            log_term: if index == 0 { 0 } else { TERM },
            index,
            commit: index,
            entries,
            ..Message::default()
        }
    }
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the receiver does not answer.
pub async fn run(plan: &SenderPlan, appends: AppendsPlan) -> Result<Report> {
    let mut sender = Sender::start(plan).await?;
    let mut log = Log::new(appends.shape);
    send_for(&mut sender, &mut log, Duration::from_millis(appends.warm_up_ms)).await?;
    let (cpu_before, begin, before) = (sender.cpu()?, Instant::now(), sender.counted.borrow().appends);
    send_for(&mut sender, &mut log, Duration::from_millis(appends.duration_ms)).await?;
    let (elapsed, cpu, after) =
        (begin.elapsed(), sender.cpu()?.since(&cpu_before), sender.counted.borrow().appends);
    let counted = sender.finish(log.appends).await?;
    let mut report = Report::default();
    report.set_both_costs(after - before, elapsed, cpu);
    let append_len = appends.shape.entries * appends.shape.entry_len;
    report.mb_per_s = report.rate.map(|rate| rate * float(append_len as u64) / 1e6);
    report.lost = Some(log.appends - counted.appends);
    report.wrong = Some(counted.wrong);
    Ok(report)
}

async fn send_for(sender: &mut Sender, log: &mut Log, duration: Duration) -> Result<()> {
    let append_len = (log.shape.entries * log.shape.entry_len).max(1);
    let window = WINDOW_APPENDS.min((WINDOW_BYTES / append_len) as u64);
    let deadline = Instant::now() + duration;
    while Instant::now() < deadline {
        let counted = sender.counted.borrow_and_update().appends;
        while log.appends - counted < window {
            sender.transport.send([log.next()]);
        }
        sender.counted.changed().await?;
    }
    Ok(())
}
