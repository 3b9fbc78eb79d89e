//! A segment file, as the log remembers it.

use super::frame::{Place, SEGMENT_HEADER_LEN, seed};
use super::name::SegmentName;

/// A segment file whose first frame is whole, or is being read or written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: SegmentName,
    /// What its headers' checksums begin from.
    seed: u32,
    /// How many bytes of it are whole frames, with what comes before them.
    len: usize,
    /// Where the last of them begins; the beginning of the file for the first one, whose segment header was written with it.
    last_frame: usize,
    /// Modulo 2^32, as it is written.
    pub(super) frame_count: u32,
    /// The highest index of an entry in it; 0 when there is none. An entry that another one replaced counts.
    pub(super) last_index: u64,
}

impl Segment {
    /// One without a frame.
    pub(super) fn new(name: SegmentName) -> Self {
        Self { name, seed: seed(name), len: SEGMENT_HEADER_LEN, last_frame: 0, frame_count: 0, last_index: 0 }
    }

    /// How many bytes of it are whole frames, with what comes before them.
    pub(super) fn len(&self) -> u64 {
        self.len as u64
    }

    /// Where its next frame is to be.
    pub(super) fn end(&self) -> Place {
        Place { seed: self.seed, offset: self.len, number: self.frame_count }
    }

    /// The last frame in the bytes of the file.
    pub(super) fn last_frame<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        file.get(self.last_frame..self.len).unwrap_or_default()
    }

    /// Goes past a frame that ends here.
    pub(super) fn grow(&mut self, end: usize) {
        self.last_frame = if self.frame_count == 0 { 0 } else { self.len };
        self.len = end;
        self.frame_count = self.frame_count.wrapping_add(1);
    }
}
