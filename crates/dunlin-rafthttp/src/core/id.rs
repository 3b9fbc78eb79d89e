//! Members and clusters by their numbers, written as etcd writes them: in base 16, small letters, without a leading zero.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A member of a cluster. 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// A cluster. Nodes of different ones do not talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub u64);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a number in base 16 that fits into 64 bits")]
pub struct IdError {
    #[from]
    source: ParseIntError,
}

fn parse(text: &str) -> Result<u64, IdError> {
    // A sign is fine for the parser and not for an id.
    let digits = if text.starts_with('+') { "" } else { text };
    Ok(u64::from_str_radix(digits, 16)?)
}

impl FromStr for MemberId {
    type Err = IdError;

    /// Takes capital letters and leading zeros too.
    fn from_str(text: &str) -> Result<Self, IdError> {
        parse(text).map(Self)
    }
}

impl FromStr for ClusterId {
    type Err = IdError;

    /// Takes capital letters and leading zeros too.
    fn from_str(text: &str) -> Result<Self, IdError> {
        parse(text).map(Self)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_small_letters_without_padding_and_read_in_any() {
        assert_eq!(ClusterId(0x1000).to_string(), "1000");
        assert_eq!(MemberId(u64::MAX).to_string(), "ffffffffffffffff");
        for text in ["abc", "ABC", "000abc"] {
            assert_eq!(text.parse(), Ok(MemberId(0xabc)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_64_bits_is_no_id() {
        for text in ["", "0x1", "+1", "-1", "g", "10000000000000000", "1 "] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
    }
}
