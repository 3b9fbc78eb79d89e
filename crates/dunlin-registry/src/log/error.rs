//! What can go wrong with the log, sorted by what its owner can do.

use std::{fmt, io};

use super::name::SegmentName;
use super::types::Identity;

/// Why the log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There was no room. The log is as it was before; the same may be asked again when there is.
    #[error("no room on the disk for {file}")]
    Full {
        /// The file that was to grow.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The batch does not fit to the log: a fault of whoever made it. Nothing was written.
    #[error("the batch does not fit to the log")]
    Batch(#[source] BatchError),
    /// The directory is that of another cluster or member. Nothing was touched.
    #[error("the log is that of {found}, not of {expected}")]
    OtherIdentity {
        /// Who asked.
        expected: Identity,
        /// Whose it is.
        found: Identity,
    },
    /// The log is not as it was written, and not in the way of a crash. It has to be mended by hand, or the member replaced.
    #[error("{file} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it what is damaged begins.
        offset: u64,
        /// What is wrong there.
        what: Damage,
    },
    /// The disk failed. The node has to end: after a failed sync nobody knows what is on the disk, and asking again does not
    /// tell.
    #[error("cannot {step} {file}")]
    Disk {
        /// What was tried.
        step: Step,
        /// The file; for a step on the directory, what it was about.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The disk failed before. The node has to end.
    #[error("the log can no longer be written: the disk failed before")]
    Poisoned,
}

impl LogError {
    /// Whether the same may be asked again later, of the same log.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn damaged(name: SegmentName, offset: usize, what: Damage) -> Self {
        Self::Damaged { file: name.to_string(), offset: offset as u64, what }
    }
}

/// What was tried on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// To see which files there are.
    List,
    /// To read a file.
    Read,
    /// To make a file.
    Create,
    /// To append to a file.
    Append,
    /// To write the last frame of a file again.
    Rewrite,
    /// To make what is in a file stay.
    Sync,
    /// To shorten a file.
    Truncate,
    /// To take a file away.
    Remove,
    /// To make the name of a file stay, or that it is gone.
    SyncDirectory,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Append => "append to",
            Self::Rewrite => "write again to",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Remove => "remove",
            Self::SyncDirectory => "sync the directory after a change of",
        })
    }
}

/// Why a batch does not fit to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Entries are missing before the first one.
    #[error("the first entry is {index} and the last one before is {last_index}")]
    Gap {
        /// The first entry.
        index: u64,
        /// The last one that is there.
        last_index: u64,
    },
    /// An entry does not have the index after that of the one before.
    #[error("entry {index} is not followed by the next one")]
    NotContiguous {
        /// The entry before.
        index: u64,
    },
    /// An entry is in the snapshot already, and what is in a snapshot is decided.
    #[error("entry {index} is covered by the snapshot mark {mark}")]
    Covered {
        /// The first entry.
        index: u64,
        /// The index of the mark.
        mark: u64,
    },
    /// The snapshot mark is behind the one in force.
    #[error("the snapshot mark {index} is behind {mark}, which is in force")]
    MarkBehind {
        /// The index of the new mark.
        index: u64,
        /// The index of the one in force.
        mark: u64,
    },
    /// It is too long for one frame.
    #[error("a batch of {len} bytes is over the limit of {len_max}")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it may be.
        len_max: usize,
    },
}

/// What is wrong at a place in a file of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A file ends as those of the log do, and its name is none of theirs.
    #[error("its name is not that of a segment")]
    Name,
    /// A segment is missing before this one.
    #[error("segment {sequence:016x} is missing before it")]
    MissingSegment {
        /// The number of the one that is missing.
        sequence: u64,
    },
    /// Two segments have one number.
    #[error("another segment has its number")]
    DuplicateSegment,
    /// The first bytes are not those of this segment.
    #[error("it does not begin as this segment of a log does, or is of a version that is not known")]
    SegmentHeader,
    /// The segment has no frame, and others show that it must have had.
    #[error("its first frame is torn, which no crash explains: segments before it were removed")]
    NoFirstFrame,
    /// The header of a frame is neither whole nor zeros.
    #[error("the header of a frame does not have its checksum")]
    HeaderChecksum,
    /// The payload of a frame is not what was written, and no sector of it is missing.
    #[error("the payload of a frame does not have its checksum")]
    PayloadChecksum,
    /// What fills a frame up is not zeros.
    #[error("what fills the frame up is not zeros")]
    Padding,
    /// A frame does not have the number that follows on the one before.
    #[error("frame {number} is where frame {expected} belongs")]
    FrameNumber {
        /// The number it has.
        number: u32,
        /// The number that belongs there.
        expected: u32,
    },
    /// A frame is torn in a segment that others follow.
    #[error("a frame is torn, and the segment is not the last")]
    TornInside,
    /// A frame is torn and another one comes after it, so it was whole once.
    #[error("a frame is torn, and frame {number} comes after it at byte {offset}")]
    FrameFollows {
        /// The frame that is there.
        number: u32,
        /// Where.
        offset: u64,
    },
    /// The payload of a frame is not one, although its checksum says that it was written so.
    #[error("the payload of a frame cannot be read")]
    Payload,
    /// The first frame of a segment does not say whose it is.
    #[error("the first frame does not say whose log it is")]
    NoStart,
    /// A later frame says what only the first one does.
    #[error("a frame inside the segment says what only the first one may")]
    StartInside,
    /// What a segment begins with is not what the one before ended with.
    #[error("the segment does not begin with what the one before ended with")]
    StartDiffers,
    /// What a frame adds does not fit to what is before it.
    #[error("what the frame adds does not fit to what is before it")]
    Misfit(#[source] BatchError),
    /// Entries are missing between the snapshot mark and the first one.
    #[error("the entries from {from} up to {to} are missing")]
    MissingEntries {
        /// The first one missing.
        from: u64,
        /// The first one that is there again.
        to: u64,
    },
}
