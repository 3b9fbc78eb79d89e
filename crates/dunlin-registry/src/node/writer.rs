//! The thread that writes the log: takes what waits, makes one batch of it, and tells when it is safe.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use dunlin_rafthttp::raftpb::SnapshotMetadata;
use tokio::sync::mpsc;

use crate::driver::{WriteBatch, WriteJob};
use crate::limits::DISK_FULL_PAUSE;
use crate::log::{Batch, Disk, Log, LogError};

/// What became of it.
#[derive(Debug)]
pub(super) enum Written {
    /// Everything up to the step of this number is safe.
    Persisted {
        /// The number.
        number: u64,
        /// How long the disk took, if anything had to be written.
        took: Option<Duration>,
    },
    /// The mark is safe.
    Marked(SnapshotMetadata),
    /// There is no room; it is tried again.
    Full(String),
    /// There is room again.
    Fits,
    /// The log can no longer be written. This is the last word.
    Failed(LogError),
}

/// Writes until nobody has anything to be written, or the disk fails.
pub(super) fn run<D: Disk>(
    mut log: Log<D>,
    mut jobs: mpsc::Receiver<WriteJob>,
    written: &mpsc::Sender<Written>,
) {
    let (mut left_over, mut put_back) = (None, None);
    while let Some(first) = put_back.take().or_else(|| jobs.blocking_recv()) {
        let mut batch = WriteBatch::after(left_over.take());
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match batch.take(job) {
                Ok(()) => next = jobs.try_recv().ok(),
                // It does not go with what was gathered.
                Err(job) => put_back = Some(job),
            }
        }
        left_over = batch.left_over();
        if write(&mut log, batch, written).is_break() {
            return;
        }
    }
}

fn write<D: Disk>(log: &mut Log<D>, batch: WriteBatch, written: &mpsc::Sender<Written>) -> ControlFlow<()> {
    let WriteBatch { entries, hard_state, snapshot, number, must_sync, is_mark, .. } = batch;
    let mut took = None;
    if must_sync {
        let batch = Batch { entries: &entries, hard_state, snapshot: snapshot.as_ref() };
        let begin = Instant::now();
        append(log, batch, written)?;
        took = Some(begin.elapsed());
    }
    match snapshot.filter(|_| is_mark) {
        None => tell(written, Written::Persisted { number, took }),
        Some(snapshot) => {
            if let Err(error) = log.compact(snapshot.index) {
                return fail(written, error);
            }
            tell(written, Written::Marked(snapshot))
        }
    }
}

/// Appends a batch, for as long as there is no room again and again.
fn append<D: Disk>(log: &mut Log<D>, batch: Batch<'_>, written: &mpsc::Sender<Written>) -> ControlFlow<()> {
    let mut was_full = false;
    loop {
        match log.append(batch) {
            Ok(()) if was_full => return tell(written, Written::Fits),
            Ok(()) => return ControlFlow::Continue(()),
            Err(error) if error.is_retryable() => {
                if !was_full {
                    tell(written, Written::Full(error.to_string()))?;
                }
                was_full = true;
                if written.is_closed() {
                    return ControlFlow::Break(());
                }
                thread::sleep(DISK_FULL_PAUSE);
            }
            Err(error) => return fail(written, error),
        }
    }
}

fn tell(written: &mpsc::Sender<Written>, what: Written) -> ControlFlow<()> {
    // The other end is gone when the member stops.
    if written.blocking_send(what).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn fail(written: &mpsc::Sender<Written>, error: LogError) -> ControlFlow<()> {
    tell(written, Written::Failed(error))?;
    ControlFlow::Break(())
}
