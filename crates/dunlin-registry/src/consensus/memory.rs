//! The part of the log that the core reads: the entries after a snapshot, in memory, with the configuration at their beginning.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct MemoryLog {
    hard_state: HardState,
    conf_state: ConfState,
    /// Where the entries begin: the index and term of what was before the first one.
    begin: (u64, u64),
    entries: VecDeque<Entry>,
    /// What followers get that need what was before.
    snapshot: Option<Snapshot>,
    /// Whether a newer one is needed: by somebody who is in no configuration of that one, and would not take it.
    is_newer_wanted: AtomicBool,
}

impl MemoryLog {
    /// What was recovered; `snapshot` is where the entries begin.
    pub(super) fn new(
        hard_state: HardState,
        snapshot: Option<Snapshot>,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Self {
        let metadata = snapshot.as_ref().map(|snapshot| snapshot.get_metadata().clone());
        let metadata = metadata.unwrap_or_default();
        Self {
            hard_state,
            conf_state: metadata.get_conf_state().clone(),
            begin: (metadata.index, metadata.term),
            entries: entries.into_iter().collect(),
            snapshot,
            is_newer_wanted: AtomicBool::new(false),
        }
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let kept = usize::try_from(first.index.saturating_sub(self.begin.0 + 1)).unwrap_or(usize::MAX);
        self.entries.truncate(kept);
        self.entries.extend(entries.iter().cloned());
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// A leader's snapshot takes the place of everything.
    pub(super) fn install(&mut self, snapshot: Snapshot) {
        let metadata = snapshot.get_metadata();
        self.begin = (metadata.index, metadata.term);
        self.conf_state = metadata.get_conf_state().clone();
        self.entries.clear();
        self.snapshot = Some(snapshot);
    }

    /// A snapshot of our own: entries before `first_index` are not needed any more.
    pub(super) fn compact(&mut self, snapshot: Snapshot, first_index: u64) {
        // One of a leader may have come meanwhile, and the log goes on from that.
        let index = snapshot.get_metadata().index;
        if self.snapshot.as_ref().is_none_or(|known| known.get_metadata().index <= index) {
            self.snapshot = Some(snapshot);
        }
        while self.entries.front().is_some_and(|entry| entry.index < first_index) {
            if let Some(entry) = self.entries.pop_front() {
                self.begin = (entry.index, entry.term);
            }
        }
    }

    /// Whether somebody needed a newer snapshot since this was asked last.
    pub(super) fn take_newer_wanted(&mut self) -> bool {
        std::mem::take(self.is_newer_wanted.get_mut())
    }

    fn first(&self) -> u64 {
        self.begin.0 + 1
    }

    fn last(&self) -> u64 {
        self.begin.0 + self.entries.len() as u64
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.begin.0 {
            return Some(self.begin.1);
        }
        let offset = usize::try_from(index.checked_sub(self.first())?).ok()?;
        self.entries.get(offset).map(|entry| entry.term)
    }
}

impl Storage for MemoryLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first() {
            return Err(StorageError::Compacted.into());
        }
        let (Ok(offset), Ok(count)) =
            (usize::try_from(low - self.first()), usize::try_from(high.saturating_sub(low)))
        else {
            return Err(StorageError::Unavailable.into());
        };
        let max_size = max_size.into();
        let mut size = 0_u64;
        let mut out = Vec::new();
        for entry in self.entries.iter().skip(offset).take(count) {
            size = size.saturating_add(entry.data.len() as u64 + ENTRY_LEN);
            if !out.is_empty() && max_size.is_some_and(|max| size > max) {
                break;
            }
            out.push(entry.clone());
        }
        if out.is_empty() && count > 0 { Err(StorageError::Unavailable.into()) } else { Ok(out) }
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.begin.0 {
            return Err(StorageError::Compacted.into());
        }
        self.term_at(index).ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let fits = |snapshot: &&Snapshot| {
            let metadata = snapshot.get_metadata();
            metadata.index >= request_index && is_member(metadata.get_conf_state(), to)
        };
        if let Some(snapshot) = self.snapshot.as_ref().filter(fits) {
            return Ok(snapshot.clone());
        }
        self.is_newer_wanted.store(true, Ordering::Relaxed);
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}

fn is_member(conf_state: &ConfState, id: u64) -> bool {
    [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing]
        .iter()
        .any(|list| list.contains(&id))
}

/// Bytes of an entry besides its data, about.
const ENTRY_LEN: u64 = 24;
