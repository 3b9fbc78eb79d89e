//! What frames say, one after another: the state that they lead to.
//!
//! Knows nothing of files. The frames before those that are there may be gone, together with the entries in them; that nothing is
//! missing of what counts shows at the end.

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};

use super::error::{BatchError, Damage};
use super::kept::check_entries;
use super::payload::{Payload, Start};

/// The state that frames lead to.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) hard_state: HardState,
    pub(super) mark: SnapshotMetadata,
    /// The index of the first entry that is there, or would be: those before are covered by the mark, or in frames that are gone.
    first_index: u64,
    pub(super) entries: Vec<Entry>,
}

impl Replay {
    /// The state before the first frame of the first segment that is there.
    pub(super) fn new(start: &Start, first_index: u64) -> Result<Self, Damage> {
        let mark = start.snapshot.clone();
        if first_index <= mark.index {
            return Err(Damage::Misfit(BatchError::Covered { index: first_index, mark: mark.index }));
        }
        Ok(Self { hard_state: start.hard_state, mark, first_index, entries: Vec::new() })
    }

    /// Whether a segment that begins so belongs after what was there.
    pub(super) fn agrees_with(&self, start: &Start) -> bool {
        self.hard_state == start.hard_state && self.mark == start.snapshot
    }

    /// Takes what a frame says. Gives the index of its last entry, or 0.
    pub(super) fn apply(&mut self, payload: Payload) -> Result<u64, Damage> {
        if let Some(snapshot) = payload.snapshot {
            self.apply_mark(snapshot, payload.drops_all).map_err(Damage::Misfit)?;
        }
        if let Some(hard_state) = payload.hard_state {
            self.hard_state = hard_state;
        }
        self.apply_entries(payload.entries).map_err(Damage::Misfit)
    }

    /// That nothing is missing between the mark and the first entry.
    pub(super) fn check_whole(&self) -> Result<(), Damage> {
        let from = self.mark.index.saturating_add(1);
        if from < self.first_index {
            return Err(Damage::MissingEntries { from, to: self.first_index });
        }
        Ok(())
    }

    fn last_index(&self) -> u64 {
        self.entries.last().map_or(self.first_index - 1, |entry| entry.index)
    }

    fn apply_mark(&mut self, snapshot: SnapshotMetadata, drops_all: bool) -> Result<(), BatchError> {
        let (index, mark, last_index) = (snapshot.index, self.mark.index, self.last_index());
        if index < mark {
            return Err(BatchError::MarkBehind { index, mark });
        }
        let next_index = index.saturating_add(1);
        if drops_all {
            self.entries.clear();
            self.first_index = next_index;
        } else if index > last_index {
            return Err(BatchError::Gap { index: next_index, last_index });
        } else if let Some(covered) = next_index.checked_sub(self.first_index) {
            let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(self.entries.len());
            self.entries.drain(..covered);
            self.first_index = next_index;
        }
        self.mark = snapshot;
        Ok(())
    }

    fn apply_entries(&mut self, entries: Vec<Entry>) -> Result<u64, BatchError> {
        check_entries(&entries, self.mark.index, self.last_index())?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(0) };
        let last_index = last.index;
        if let Some(staying) = first.index.checked_sub(self.first_index) {
            self.entries.truncate(usize::try_from(staying).unwrap_or(usize::MAX));
        } else {
            self.entries.clear();
            self.first_index = first.index;
        }
        self.entries.extend(entries);
        Ok(last_index)
    }
}
