//! Names of segment files. Sorted as text they are in order.

use std::fmt;

/// How the names of segments end, and no other names in the directory.
pub(super) const ENDING: &str = ".log";

/// Which segment a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    /// Its number; the first segment of a log has 0, and none is left out.
    pub(super) sequence: u64,
    /// The index of the first entry in its first frame, or what the next one would have.
    pub(super) first_index: u64,
}

impl SegmentName {
    /// Reads a name; `None` for one that is not written as [`Display`](fmt::Display) writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (sequence, first_index) = text.strip_suffix(ENDING)?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let name = Self { sequence: number(sequence)?, first_index: number(first_index)? };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}{ENDING}", self.sequence, self.first_index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_read_as_it_is_written_and_in_no_other_way() {
        let name = SegmentName { sequence: 0xab, first_index: u64::MAX };
        assert_eq!(name.to_string(), "00000000000000ab-ffffffffffffffff.log");
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for wrong in [
            "ab-ffffffffffffffff.log",
            "00000000000000AB-ffffffffffffffff.log",
            "+0000000000000ab-ffffffffffffffff.log",
            "00000000000000ab-ffffffffffffffff.log.log",
            "00000000000000ab-fffffffffffffffff.log",
            "00000000000000ab.log",
            ".log",
            "",
        ] {
            assert_eq!(SegmentName::parse(wrong), None, "{wrong}");
        }
    }
}
