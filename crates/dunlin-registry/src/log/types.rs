//! What goes into the log and what comes out of it.

use std::fmt;

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};

/// Whose log it is. It is in every segment, so that a directory in the wrong place is refused instead of believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever opens a log")]
pub struct Identity {
    /// The cluster.
    pub cluster_id: u64,
    /// The member of it.
    pub member_id: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {:x} of cluster {:x}", self.member_id, self.cluster_id)
    }
}

/// How the log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogConfig {
    /// A segment that is as long as this gets no more frames, so it is longer by less than one frame.
    pub segment_len: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        // Long enough that cutting costs little beside the appends, short enough that what a snapshot made useless goes soon.
        Self { segment_len: 16 << 20 }
    }
}

impl LogConfig {
    /// The same with segments of another length.
    #[must_use]
    pub fn with_segment_len(mut self, segment_len: u64) -> Self {
        self.segment_len = segment_len;
        self
    }
}

/// What is written together: after a crash all of it is there, or nothing. The mark counts first, then the entries.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever appends")]
pub struct Batch<'a> {
    /// Entries, each with the index after that of the one before. What the log has from the index of the first one on goes.
    pub entries: &'a [Entry],
    /// The hard state from now on.
    pub hard_state: Option<HardState>,
    /// That a snapshot, which is safe already, stands for all entries up to its index. If the log has the entry of that index
    /// with that term, the entries after it stay; else all go, since they are those of another history.
    pub snapshot: Option<&'a SnapshotMetadata>,
}

impl Batch<'_> {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.hard_state.is_none() && self.snapshot.is_none()
    }
}

/// What was in the log when it was opened. All of it is safe: it survives the next crash as well.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Recovered {
    /// The last hard state; zeros when there was none.
    pub hard_state: HardState,
    /// The last snapshot mark; index 0 when there was none.
    pub snapshot: SnapshotMetadata,
    /// The entries after the mark, without a gap.
    pub entries: Vec<Entry>,
    /// How many bytes of an append that a crash tore were cut off. It had not been acknowledged.
    pub cut: Option<u64>,
}
