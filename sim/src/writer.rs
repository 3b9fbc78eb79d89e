//! What a member's thread that writes its log does, as `node/writer.rs` of the registry does it: one batch at a time of what waits.

use std::collections::VecDeque;

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};
use dunlin_registry::consensus::Persist;
use dunlin_registry::log::{Batch, Log, LogError};

use crate::bug::Bug;
use crate::disk::SimDisk;

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Job {
    /// Of the driver's step of this number.
    Step(u64, Persist),
    /// A snapshot of its own is on the disk.
    Mark(SnapshotMetadata),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Written {
    /// Everything up to the step of this number is safe.
    Persisted(u64),
    /// The mark is safe.
    Marked(SnapshotMetadata),
}

/// What is gathered for one write.
#[derive(Debug, Default)]
struct Gathered {
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    snapshot: Option<SnapshotMetadata>,
    number: u64,
    must_sync: bool,
    has_step: bool,
    is_mark: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Log<SimDisk>,
    jobs: VecDeque<Job>,
    writing: Option<Gathered>,
    /// A commit alone is worth no write: it goes with the next one.
    commit: Option<HardState>,
    bug: Option<Bug>,
}

impl Writer {
    pub(crate) const fn new(log: Log<SimDisk>, bug: Option<Bug>) -> Self {
        Self { log, jobs: VecDeque::new(), writing: None, commit: None, bug }
    }

    pub(crate) fn push(&mut self, job: Job) {
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
        let mut gathered = Gathered::default();
        while let Some(job) = self.jobs.pop_front() {
            if let Err(job) = gathered.take(job) {
                self.jobs.push_front(job);
                break;
            }
        }
        let must_sync = gathered.must_sync;
        self.writing = Some(gathered);
        Some(must_sync)
    }

    /// What will be said of the write that is under way.
    pub(crate) fn promise(&self) -> Option<Written> {
        let gathered = self.writing.as_ref()?;
        match &gathered.snapshot {
            Some(snapshot) if gathered.is_mark => Some(Written::Marked(snapshot.clone())),
            _ => Some(Written::Persisted(gathered.number)),
        }
    }

    /// Ends the write that is under way.
    pub(crate) fn end(&mut self) -> Result<Option<Written>, LogError> {
        let promise = self.promise();
        let Some(mut gathered) = self.writing.take() else { return Ok(None) };
        self.commit = gathered.hard_state.or(self.commit);
        if gathered.must_sync {
            let hard_state = self.commit.take();
            self.append(&mut gathered, hard_state)?;
        }
        if let Some(Written::Marked(snapshot)) = &promise {
            self.log.compact(snapshot.index)?;
        }
        Ok(promise)
    }

    fn append(&mut self, gathered: &mut Gathered, mut hard_state: Option<HardState>) -> Result<(), LogError> {
        match self.bug {
            Some(Bug::VoteNotWritten) => {
                hard_state = hard_state.map(|hard_state| HardState { vote: 0, ..hard_state });
            }
            Some(Bug::TermNotWritten) if gathered.entries.is_empty() && gathered.snapshot.is_none() => {
                hard_state = None;
            }
            Some(Bug::ConflictKept) => {
                let last_index = self.log.last_index();
                gathered.entries.retain(|entry| entry.index > last_index);
            }
            Some(Bug::SnapshotWithoutCut) if !gathered.is_mark => gathered.snapshot = None,
            _ => {}
        }
        let snapshot = gathered.snapshot.as_ref();
        self.log.append(Batch { entries: &gathered.entries, hard_state, snapshot })
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
            Job::Step(number, persist) if is_first || (!self.is_mark && self.fits(&persist)) => {
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

    fn fits(&self, persist: &Persist) -> bool {
        let follows = match (self.entries.last(), persist.entries.first()) {
            (Some(last), Some(first)) => last.index + 1 == first.index,
            _ => true,
        };
        follows && self.snapshot.is_none() && persist.snapshot.is_none()
    }
}
