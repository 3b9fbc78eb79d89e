//! The log of a Raft member on a disk: entries, votes and snapshot marks, written together and safe when the call returns.
//!
//! Knows nothing of Raft's rules but those that say what an entry or a mark replaces, and nothing of tasks: every call waits for the
//! disk. Whoever wants several batches in one write makes one of them before. Decision and byte tables:
//! `docs/design/003-log-on-disk.md`. Read next: `log/recover.rs`, what of a disk is believed, and `log/frame.rs`, the bytes.
//!
//! Invariants: what [`Log::append`] acknowledged is found by every later [`Log::open`], or it says in which file it is damaged; a
//! batch is found whole or not at all; a sync that failed is never tried again.

mod disk;
mod error;
mod frame;
mod kept;
mod name;
mod payload;
mod recover;
mod replay;
mod segment;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;
use std::io;

pub use disk::{DirectoryError, Disk, Fate, FsDisk, MemDisk, Unsynced};
pub use error::{BatchError, Damage, LogError, Step};
pub use types::{Batch, Identity, LogConfig, Recovered};

use frame::{encode_frame, encode_segment_header};
use kept::{Effect, Kept};
use name::SegmentName;
use payload::{Start, encode};
use recover::{Found, recover};
use segment::Segment;

/// How long what a batch says may be as bytes; longer ones would make reading a segment cost too much memory.
pub const BATCH_LEN_MAX: usize = 256 << 20;

/// What the buffers keep between two batches, so that one long batch does not hold its memory for ever.
const KEPT_LEN_MAX: usize = 1 << 20;

/// The log of one member.
///
/// ```
/// use dunlin_rafthttp::raftpb::{Entry, HardState};
/// use dunlin_registry::log::{Batch, Identity, Log, LogConfig, MemDisk};
///
/// let (disk, identity) = (MemDisk::default(), Identity { cluster_id: 1, member_id: 2 });
/// let (mut log, recovered) = Log::open(disk.clone(), identity, LogConfig::default())?;
/// assert!(recovered.entries.is_empty());
/// let entries = [Entry { index: 1, term: 1, ..Entry::default() }];
/// let hard_state = Some(HardState { term: 1, vote: 2, commit: 0 });
/// log.append(Batch { entries: &entries, hard_state, ..Batch::default() })?;
/// drop(log);
///
/// let (_, recovered) = Log::open(disk, identity, LogConfig::default())?;
/// assert_eq!(recovered.entries, entries);
/// # Ok::<(), dunlin_registry::log::LogError>(())
/// ```
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    identity: Identity,
    config: LogConfig,
    kept: Kept,
    /// Never empty; the last one is appended to.
    segments: VecDeque<Segment>,
    is_poisoned: bool,
    payload: Vec<u8>,
    frame: Vec<u8>,
}

impl<D: Disk> Log<D> {
    /// Opens the log on a disk, or begins one on a disk that has none, and gives what was in it. What a crash tore off the last
    /// append is cut.
    ///
    /// # Errors
    ///
    /// [`LogError::OtherIdentity`] for the log of somebody else; [`LogError::Damaged`] for one that is not as it was written;
    /// [`LogError::Full`] when there is no room to begin one, or to write again what came last; [`LogError::Disk`] when the disk
    /// fails.
    pub fn open(mut disk: D, identity: Identity, config: LogConfig) -> Result<(Self, Recovered), LogError> {
        let Found { recovered, segments } = recover(&mut disk, identity)?;
        let kept = Kept::from_recovered(&recovered);
        let (payload, frame) = (Vec::new(), Vec::new());
        let mut log = Self { disk, identity, config, kept, segments, is_poisoned: false, payload, frame };
        if log.segments.is_empty() {
            log.cut(Batch::default(), Effect { drops_all: false, first_index: 1 })?;
        }
        Ok((log, recovered))
    }

    /// Whose log is on a disk; `None` when there is none, or a crash interrupted its beginning.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when the first frame there is not as it was written; [`LogError::Disk`] when the disk fails.
    pub fn identity(disk: &D) -> Result<Option<Identity>, LogError> {
        recover::identity(disk)
    }

    /// Writes a batch, and returns when it is safe. An empty one is not written.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`] when there is no room: the log is as before, and the same may be asked again.
    /// [`LogError::Batch`] when the batch does not fit: the log is as before. [`LogError::Disk`] when the disk failed, and
    /// [`LogError::Poisoned`] ever after: the node has to end.
    pub fn append(&mut self, batch: Batch<'_>) -> Result<(), LogError> {
        self.check_poisoned()?;
        if batch.is_empty() {
            return Ok(());
        }
        let effect = self.kept.check(&batch).map_err(LogError::Batch)?;
        let is_cut = self.segments.back().is_none_or(|tail| tail.len() >= self.config.segment_len);
        if is_cut {
            self.cut(batch, effect)?;
        } else {
            self.extend(batch, effect)?;
        }
        self.kept.apply(&batch, effect);
        self.payload.shrink_to(KEPT_LEN_MAX);
        self.frame.shrink_to(KEPT_LEN_MAX);
        Ok(())
    }

    /// Removes segments of which nothing is needed: the oldest ones, as long as all entries in them are up to this index and
    /// covered by the snapshot mark in force. Gives how many.
    ///
    /// # Errors
    ///
    /// [`LogError::Disk`] when the disk failed, and [`LogError::Poisoned`] ever after: the node has to end.
    pub fn compact(&mut self, index: u64) -> Result<usize, LogError> {
        self.check_poisoned()?;
        let covered = index.min(self.kept.mark.index);
        let mut removed_count = 0;
        while self.segments.len() > 1
            && let Some(segment) = self.segments.front().filter(|segment| segment.last_index <= covered)
        {
            // Each is gone for good before the next one goes, so that a crash never leaves a hole.
            let file = segment.name.to_string();
            self.removed(&file)?;
            self.segments.pop_front();
            removed_count += 1;
        }
        Ok(removed_count)
    }

    /// How many bytes the segments have together.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// How many segments there are.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The index of the last entry, or of the snapshot mark when there is none after it.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.kept.last_index
    }

    /// Appends a frame to the last segment.
    fn extend(&mut self, batch: Batch<'_>, effect: Effect) -> Result<(), LogError> {
        self.encode_payload(&batch, effect, None)?;
        let Some(tail) = self.segments.back_mut() else { return Err(LogError::Poisoned) };
        let place = tail.end();
        self.frame.clear();
        encode_frame(&self.payload, place, &mut self.frame);
        let file = tail.name.to_string();
        if let Err(source) = self.disk.append(&file, &self.frame) {
            return Err(self.undo_append(file, place.offset as u64, source));
        }
        if let Err(source) = self.disk.sync(&file) {
            return Err(self.poison(Step::Sync, &file, source));
        }
        tail.grow(place.offset + self.frame.len());
        tail.last_index = tail.last_index.max(last_index(&batch));
        Ok(())
    }

    /// Begins a segment with a frame. It counts when it, and then its name, are synced.
    fn cut(&mut self, batch: Batch<'_>, effect: Effect) -> Result<(), LogError> {
        let start = Start {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id,
            hard_state: self.kept.hard_state,
            snapshot: self.kept.mark.clone(),
        };
        self.encode_payload(&batch, effect, Some(&start))?;
        let sequence = self.segments.back().map_or(0, |tail| tail.name.sequence.saturating_add(1));
        let mut segment = Segment::new(SegmentName { sequence, first_index: effect.first_index });
        self.frame.clear();
        encode_segment_header(segment.name, &mut self.frame);
        encode_frame(&self.payload, segment.end(), &mut self.frame);
        let file = segment.name.to_string();
        match self.disk.create(&file) {
            Ok(()) => {}
            Err(source) if disk::is_full(&source) => return Err(LogError::Full { file, source }),
            Err(source) => return Err(self.poison(Step::Create, &file, source)),
        }
        if let Err(source) = self.disk.append(&file, &self.frame) {
            return Err(self.undo_create(file, source));
        }
        if let Err(source) = self.disk.sync(&file) {
            return Err(self.poison(Step::Sync, &file, source));
        }
        if let Err(source) = self.disk.sync_directory() {
            return Err(self.poison(Step::SyncDirectory, &file, source));
        }
        segment.grow(self.frame.len());
        segment.last_index = last_index(&batch);
        self.segments.push_back(segment);
        Ok(())
    }

    fn encode_payload(
        &mut self,
        batch: &Batch<'_>,
        effect: Effect,
        start: Option<&Start>,
    ) -> Result<(), LogError> {
        self.payload.clear();
        encode(batch, effect.drops_all, start, &mut self.payload);
        let (len, len_max) = (self.payload.len(), BATCH_LEN_MAX);
        if len > len_max {
            self.payload = Vec::new();
            return Err(LogError::Batch(BatchError::TooLong { len, len_max }));
        }
        Ok(())
    }

    /// After an append that failed: if there was no room, what it wrote is cut off again.
    fn undo_append(&mut self, file: String, len: u64, source: io::Error) -> LogError {
        if !disk::is_full(&source) {
            return self.poison(Step::Append, &file, source);
        }
        if let Err(source) = self.disk.truncate(&file, len) {
            return self.poison(Step::Truncate, &file, source);
        }
        // Or the next frame could lie over remains of this one.
        if let Err(source) = self.disk.sync(&file) {
            return self.poison(Step::Sync, &file, source);
        }
        LogError::Full { file, source }
    }

    /// After the first append to a new segment failed: if there was no room, the segment goes.
    fn undo_create(&mut self, file: String, source: io::Error) -> LogError {
        if !disk::is_full(&source) {
            return self.poison(Step::Append, &file, source);
        }
        match self.removed(&file) {
            Ok(()) => LogError::Full { file, source },
            Err(error) => error,
        }
    }

    fn removed(&mut self, file: &str) -> Result<(), LogError> {
        if let Err(source) = self.disk.remove(file) {
            return Err(self.poison(Step::Remove, file, source));
        }
        if let Err(source) = self.disk.sync_directory() {
            return Err(self.poison(Step::SyncDirectory, file, source));
        }
        Ok(())
    }

    fn check_poisoned(&self) -> Result<(), LogError> {
        if self.is_poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn poison(&mut self, step: Step, file: &str, source: io::Error) -> LogError {
        self.is_poisoned = true;
        LogError::Disk { step, file: file.to_owned(), source }
    }
}

fn last_index(batch: &Batch<'_>) -> u64 {
    batch.entries.last().map_or(0, |entry| entry.index)
}
