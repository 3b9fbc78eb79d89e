//! What is written at once: steps that follow each other, gathered into one batch and one sync.

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};

use crate::consensus::Persist;
use crate::limits::GATHERED_LEN_MAX;

/// Something to be written to the log.
#[derive(Debug)]
pub enum WriteJob {
    /// Of the [`Step`](super::Step) of this number.
    Step {
        /// The number.
        number: u64,
        /// What is to be on the disk.
        persist: Persist,
    },
    /// A snapshot of this member's own is on the disk: what it stands for may go.
    Mark(SnapshotMetadata),
}

/// What is written at once.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// The entries, each after the one before.
    pub entries: Vec<Entry>,
    /// Term, vote and commit, if they are not on the disk as they are.
    pub hard_state: Option<HardState>,
    /// A leader's snapshot, or the one of a mark.
    pub snapshot: Option<SnapshotMetadata>,
    /// The number of the last step.
    pub number: u64,
    /// Whether anybody relies on it being on the disk. What nobody relies on is not written.
    pub must_sync: bool,
    /// Whether it is a mark.
    pub is_mark: bool,
    has_step: bool,
    len: usize,
}

impl WriteBatch {
    /// An empty one, after one that left this over.
    #[must_use]
    pub fn after(left_over: Option<HardState>) -> Self {
        Self { hard_state: left_over, ..Self::default() }
    }

    /// Adds a job.
    ///
    /// # Errors
    ///
    /// The job, when it is not written in the same batch: it is the first one of the next.
    #[expect(
        clippy::result_large_err,
        reason = "a job that does not fit goes back whole, to be the next one"
    )]
    pub fn take(&mut self, job: WriteJob) -> Result<(), WriteJob> {
        let is_first = !self.has_step && !self.is_mark;
        match job {
            WriteJob::Mark(snapshot) if is_first => {
                self.snapshot = Some(snapshot);
                self.must_sync = true;
                self.is_mark = true;
                Ok(())
            }
            WriteJob::Step { number, persist } if is_first || (!self.is_mark && self.fits(&persist)) => {
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

    /// What is left to be written with the next batch: a commit alone is worth no write.
    #[must_use]
    pub fn left_over(&self) -> Option<HardState> {
        self.hard_state.filter(|_| !self.must_sync)
    }

    /// Whether entries follow those that are there. What replaces some of them, or all by a snapshot, is a batch of its own.
    fn fits(&self, persist: &Persist) -> bool {
        let follows = match (self.entries.last(), persist.entries.first()) {
            (Some(last), Some(first)) => last.index + 1 == first.index,
            _ => true,
        };
        follows && self.snapshot.is_none() && persist.snapshot.is_none() && self.len < GATHERED_LEN_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64, indexes: std::ops::RangeInclusive<u64>) -> WriteJob {
        let entries = indexes.map(|index| Entry { index, ..Entry::default() }).collect();
        WriteJob::Step { number, persist: Persist { entries, must_sync: true, ..Persist::default() } }
    }

    #[test]
    fn steps_that_follow_each_other_are_one_batch_and_what_replaces_entries_is_the_next() {
        let mut batch = WriteBatch::default();
        batch.take(step(1, 1..=2)).unwrap();
        batch.take(step(2, 3..=3)).unwrap();
        let replaces = batch.take(step(3, 3..=4)).unwrap_err();
        assert_eq!((batch.number, batch.entries.len()), (2, 3));
        let mut next = WriteBatch::after(batch.left_over());
        next.take(replaces).unwrap();
        assert_eq!((next.number, next.entries.len()), (3, 2));
    }

    #[test]
    fn a_mark_and_a_snapshot_are_batches_of_their_own() {
        let mut batch = WriteBatch::default();
        batch.take(step(1, 1..=1)).unwrap();
        batch.take(WriteJob::Mark(SnapshotMetadata::default())).unwrap_err();
        let snapshot = Some(SnapshotMetadata { index: 9, ..SnapshotMetadata::default() });
        let persist = Persist { snapshot, must_sync: true, ..Persist::default() };
        let restores = batch.take(WriteJob::Step { number: 2, persist }).unwrap_err();
        let mut next = WriteBatch::default();
        next.take(restores).unwrap();
        next.take(step(3, 10..=10)).unwrap_err();
        let mut mark = WriteBatch::default();
        mark.take(WriteJob::Mark(SnapshotMetadata::default())).unwrap();
        mark.take(step(3, 10..=10)).unwrap_err();
        assert!(mark.is_mark && mark.must_sync);
    }

    #[test]
    fn a_commit_alone_goes_with_the_next_batch() {
        let hard_state = Some(HardState { term: 1, vote: 1, commit: 7 });
        let mut batch = WriteBatch::default();
        batch
            .take(WriteJob::Step { number: 1, persist: Persist { hard_state, ..Persist::default() } })
            .unwrap();
        assert_eq!((batch.must_sync, batch.left_over()), (false, hard_state));
        let mut next = WriteBatch::after(batch.left_over());
        next.take(step(2, 8..=8)).unwrap();
        assert_eq!((next.hard_state, next.left_over()), (hard_state, None));
    }
}
