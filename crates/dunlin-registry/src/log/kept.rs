//! What the log remembers of itself while it is written: enough to say whether a batch fits, and what it does.
//!
//! Of entries it keeps the terms, in runs; there are as many runs as there were terms, so it stays small however long the log.

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};

use super::error::BatchError;
use super::types::{Batch, Recovered};

/// The state in force.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) hard_state: HardState,
    pub(super) mark: SnapshotMetadata,
    /// The last entry; the mark's index when there is none after it.
    pub(super) last_index: u64,
    /// Of the entries after the mark, in order; the first may have begun before it.
    runs: Vec<Run>,
}

/// Entries that follow each other and have one term.
#[derive(Debug, Clone, Copy)]
struct Run {
    first_index: u64,
    term: u64,
}

/// What a batch that fits does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    /// Its mark drops all entries, not only those up to it.
    pub(super) drops_all: bool,
    /// The index of its first entry, or what the next entry will have.
    pub(super) first_index: u64,
}

impl Kept {
    pub(super) fn from_recovered(recovered: &Recovered) -> Self {
        let mark = recovered.snapshot.clone();
        let mut kept =
            Self { hard_state: recovered.hard_state, last_index: mark.index, mark, runs: Vec::new() };
        kept.push(&recovered.entries);
        kept
    }

    /// Whether a batch fits, and what it does then.
    pub(super) fn check(&self, batch: &Batch<'_>) -> Result<Effect, BatchError> {
        let mut mark = self.mark.index;
        let mut last_index = self.last_index;
        let mut drops_all = false;
        if let Some(snapshot) = batch.snapshot {
            let index = snapshot.index;
            if index < mark {
                return Err(BatchError::MarkBehind { index, mark });
            }
            mark = index;
            drops_all = self.term(index) != Some(snapshot.term);
            if drops_all {
                last_index = mark;
            }
        }
        check_entries(batch.entries, mark, last_index)?;
        let next_index = last_index.saturating_add(1);
        let first_index = batch.entries.first().map_or(next_index, |entry| entry.index);
        Ok(Effect { drops_all, first_index })
    }

    /// Does what a batch does that was found to fit.
    pub(super) fn apply(&mut self, batch: &Batch<'_>, effect: Effect) {
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = batch.snapshot {
            if effect.drops_all {
                self.runs.clear();
                self.last_index = snapshot.index;
            } else {
                self.drop_through(snapshot.index);
            }
            self.mark = snapshot.clone();
        }
        self.push(batch.entries);
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.mark.index {
            return Some(self.mark.term);
        }
        if index < self.mark.index || index > self.last_index {
            return None;
        }
        self.runs.iter().rev().find(|run| run.first_index <= index).map(|run| run.term)
    }

    fn drop_through(&mut self, index: u64) {
        if index >= self.last_index {
            self.runs.clear();
            return;
        }
        let ended = self.runs.iter().skip(1).take_while(|run| run.first_index <= index + 1).count();
        self.runs.drain(..ended);
    }

    fn push(&mut self, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            self.runs.retain(|run| run.first_index < first.index);
        }
        for entry in entries {
            if self.runs.last().is_none_or(|run| run.term != entry.term) {
                self.runs.push(Run { first_index: entry.index, term: entry.term });
            }
            self.last_index = entry.index;
        }
    }
}

/// Whether entries come after the mark, not later than after the last one, and in order.
pub(super) fn check_entries(entries: &[Entry], mark: u64, last_index: u64) -> Result<(), BatchError> {
    let Some(first) = entries.first() else { return Ok(()) };
    let index = first.index;
    if index <= mark {
        return Err(BatchError::Covered { index, mark });
    }
    if index - 1 > last_index {
        return Err(BatchError::Gap { index, last_index });
    }
    for (entry, next) in entries.iter().zip(entries.iter().skip(1)) {
        if entry.index.checked_add(1) != Some(next.index) {
            return Err(BatchError::NotContiguous { index: entry.index });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(indexes: std::ops::Range<u64>, term: u64) -> Vec<Entry> {
        indexes.map(|index| Entry { index, term, ..Entry::default() }).collect()
    }

    fn write(kept: &mut Kept, batch: &Batch<'_>) {
        let effect = kept.check(batch).unwrap();
        kept.apply(batch, effect);
    }

    #[test]
    fn terms_are_kept_of_the_entries_that_are_there_and_of_no_others() {
        let mut kept = Kept::default();
        for term in 1..6 {
            write(
                &mut kept,
                &Batch { entries: &entries(term * 10 - 9..term * 10 + 1, term), ..Batch::default() },
            );
        }
        assert_eq!(
            (kept.term(10), kept.term(11), kept.term(50), kept.term(51)),
            (Some(1), Some(2), Some(5), None)
        );
        write(&mut kept, &Batch { entries: &entries(45..46, 9), ..Batch::default() });
        assert_eq!((kept.term(44), kept.term(45), kept.term(46)), (Some(5), Some(9), None));
        let snapshot = SnapshotMetadata { index: 40, term: 4, ..SnapshotMetadata::default() };
        write(&mut kept, &Batch { snapshot: Some(&snapshot), ..Batch::default() });
        assert_eq!((kept.term(39), kept.term(40), kept.term(41)), (None, Some(4), Some(5)));
        assert_eq!(kept.runs.len(), 2, "{:?}", kept.runs);
    }
}
