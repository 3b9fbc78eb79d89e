//! The thread that writes the log: takes what waits, makes one batch of it, and tells when it is safe.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};
use tokio::sync::mpsc;

use crate::consensus::Persist;
use crate::limits::{BATCH_LEN_MAX, DISK_FULL_PAUSE};
use crate::log::{Batch, Disk, Log, LogError};

/// Something to be written.
#[derive(Debug)]
pub(super) enum Job {
    /// Of the driver's step of this number.
    Step {
        /// The number.
        number: u64,
        /// What is to be on the disk.
        persist: Persist,
    },
    /// A snapshot of our own is on the disk: what it stands for may go.
    Mark(SnapshotMetadata),
}

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

/// What is gathered for one write.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    snapshot: Option<SnapshotMetadata>,
    number: u64,
    len: usize,
    must_sync: bool,
    has_step: bool,
    is_mark: bool,
}

/// Writes until nobody has anything to be written, or the disk fails.
pub(super) fn run<D: Disk>(mut log: Log<D>, mut jobs: mpsc::Receiver<Job>, written: &mpsc::Sender<Written>) {
    // A commit alone is worth no write: it goes with the next one.
    let mut commit = None;
    let mut left = None;
    while let Some(first) = left.take().or_else(|| jobs.blocking_recv()) {
        let mut gathered = Gathered::default();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match gathered.take(job) {
                Ok(()) => next = jobs.try_recv().ok(),
                // It does not go with what was gathered.
                Err(job) => left = Some(job),
            }
        }
        if write(&mut log, gathered, &mut commit, written).is_break() {
            return;
        }
    }
}

impl Gathered {
    /// Adds a job, if it can be written in the same batch.
    #[expect(
        clippy::result_large_err,
        reason = "a job that does not fit goes back whole, to be the next one"
    )]
    fn take(&mut self, job: Job) -> Result<(), Job> {
        let is_first = !self.has_step && !self.is_mark;
        match job {
            Job::Mark(snapshot) if is_first => {
                self.snapshot = Some(snapshot);
                self.must_sync = true;
                self.is_mark = true;
                Ok(())
            }
            Job::Step { number, persist } if is_first || (!self.is_mark && self.fits(&persist)) => {
                self.len += persist.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
                self.entries.extend(persist.entries);
                self.hard_state = persist.hard_state.or(self.hard_state);
                self.snapshot = persist.snapshot;
                self.must_sync |= persist.must_sync;
                self.number = number;
                self.has_step = true;
                Ok(())
            }
            job => Err(job),
        }
    }

    /// Whether entries follow those that are there. What replaces some of them, or all by a snapshot, is a batch of its own.
    fn fits(&self, persist: &Persist) -> bool {
        let follows = match (self.entries.last(), persist.entries.first()) {
            (Some(last), Some(first)) => last.index + 1 == first.index,
            _ => true,
        };
        follows && self.snapshot.is_none() && persist.snapshot.is_none() && self.len < BATCH_LEN_MAX
    }
}

fn write<D: Disk>(
    log: &mut Log<D>,
    gathered: Gathered,
    commit: &mut Option<HardState>,
    written: &mpsc::Sender<Written>,
) -> ControlFlow<()> {
    let Gathered { entries, hard_state, snapshot, number, must_sync, is_mark, .. } = gathered;
    *commit = hard_state.or(*commit);
    let mut took = None;
    if must_sync {
        let batch = Batch { entries: &entries, hard_state: *commit, snapshot: snapshot.as_ref() };
        let begin = Instant::now();
        append(log, batch, written)?;
        took = Some(begin.elapsed());
        *commit = None;
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
