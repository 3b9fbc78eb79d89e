//! What a member's thread that writes its log does, as `node/writer.rs` of the registry does it: one batch at a time of what waits.

use std::collections::VecDeque;

use dunlin_rafthttp::raftpb::{HardState, SnapshotMetadata};
use dunlin_registry::driver::{WriteBatch, WriteJob};
use dunlin_registry::log::{Batch, Log, LogError};

use crate::bug::Bug;
use crate::disk::SimDisk;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Written {
    /// Everything up to the step of this number is safe.
    Persisted(u64),
    /// The mark is safe.
    Marked(SnapshotMetadata),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Log<SimDisk>,
    jobs: VecDeque<WriteJob>,
    writing: Option<WriteBatch>,
    /// What the last write left over.
    left_over: Option<HardState>,
    bug: Option<Bug>,
}

impl Writer {
    pub(crate) const fn new(log: Log<SimDisk>, bug: Option<Bug>) -> Self {
        Self { log, jobs: VecDeque::new(), writing: None, left_over: None, bug }
    }

    pub(crate) fn push(&mut self, job: WriteJob) {
        self.jobs.push_back(job);
    }

    pub(crate) fn jobs_len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether a write is under way.
    pub(crate) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins a write, if there is something to write and none is under way. Whether the disk has to sync it.
    pub(crate) fn begin(&mut self) -> Option<bool> {
        if self.writing.is_some() || self.jobs.is_empty() {
            return None;
        }
        let mut batch = WriteBatch::after(self.left_over.take());
        while let Some(job) = self.jobs.pop_front() {
            if let Err(job) = batch.take(job) {
                self.jobs.push_front(job);
                break;
            }
        }
        let must_sync = batch.must_sync;
        self.writing = Some(batch);
        Some(must_sync)
    }

    /// What will be said of the write that is under way.
    pub(crate) fn promise(&self) -> Option<Written> {
        let batch = self.writing.as_ref()?;
        match &batch.snapshot {
            Some(snapshot) if batch.is_mark => Some(Written::Marked(snapshot.clone())),
            _ => Some(Written::Persisted(batch.number)),
        }
    }

    /// Ends the write that is under way.
    pub(crate) fn end(&mut self) -> Result<Option<Written>, LogError> {
        let promise = self.promise();
        let Some(batch) = self.writing.take() else { return Ok(None) };
        self.left_over = batch.left_over();
        if batch.must_sync {
            self.append(batch)?;
        }
        if let Some(Written::Marked(snapshot)) = &promise {
            self.log.compact(snapshot.index)?;
        }
        Ok(promise)
    }

    fn append(&mut self, mut batch: WriteBatch) -> Result<(), LogError> {
        match self.bug {
            Some(Bug::VoteNotWritten) => {
                batch.hard_state = batch.hard_state.map(|hard_state| HardState { vote: 0, ..hard_state });
            }
            Some(Bug::TermNotWritten) if batch.entries.is_empty() && batch.snapshot.is_none() => {
                batch.hard_state = None;
            }
            Some(Bug::ConflictKept) => {
                let last_index = self.log.last_index();
                batch.entries.retain(|entry| entry.index > last_index);
            }
            Some(Bug::SnapshotWithoutCut) if !batch.is_mark => batch.snapshot = None,
            _ => {}
        }
        let WriteBatch { entries, hard_state, snapshot, .. } = &batch;
        self.log.append(Batch { entries, hard_state: *hard_state, snapshot: snapshot.as_ref() })
    }
}
