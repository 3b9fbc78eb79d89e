//! A refusal as bytes, where it is remembered and where it is sent: a number for what it is, and the numbers in it.

use prost::Message;

use super::StoreError;

/// A refusal as numbers. Those that are given out never change their meaning.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Refusal {
    /// What it is.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// The numbers in it, in the order of its fields.
    #[prost(uint64, repeated, tag = "2")]
    pub numbers: Vec<u64>,
}

impl Refusal {
    /// A refusal as numbers.
    #[must_use]
    pub fn of(error: &StoreError) -> Self {
        let (code, numbers) = match *error {
            StoreError::KeyEmpty => (1, vec![]),
            StoreError::KeyTooLong { key_len } => (2, vec![key_len as u64]),
            StoreError::ValueTooLong { value_len } => (3, vec![value_len as u64]),
            StoreError::Full { len, len_max } => (4, vec![len as u64, len_max as u64]),
            StoreError::TxnTooLong { operations } => (5, vec![operations as u64]),
            StoreError::LeaseUnknown { lease } => (6, vec![lease]),
            StoreError::LeaseExists { lease } => (7, vec![lease]),
            StoreError::LeaseTtl { ttl_ms } => (8, vec![ttl_ms]),
            StoreError::TooManyLeases => (9, vec![]),
            StoreError::ClientForgotten { client } => (10, vec![client]),
            StoreError::SequenceGap { client, sequence, last } => (11, vec![client, sequence, last]),
            StoreError::AnswerGone { revision } => (12, vec![revision]),
            StoreError::LeaseRenewed { lease } => (13, vec![lease]),
        };
        Self { code, numbers }
    }
}

/// The number is of no refusal that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a refusal of an unknown kind")]
pub struct UnknownRefusal;

impl TryFrom<Refusal> for StoreError {
    type Error = UnknownRefusal;

    fn try_from(stored: Refusal) -> Result<Self, UnknownRefusal> {
        let number = |at: usize| stored.numbers.get(at).copied().unwrap_or_default();
        let len = |at: usize| usize::try_from(number(at)).unwrap_or(usize::MAX);
        Ok(match stored.code {
            1 => Self::KeyEmpty,
            2 => Self::KeyTooLong { key_len: len(0) },
            3 => Self::ValueTooLong { value_len: len(0) },
            4 => Self::Full { len: len(0), len_max: len(1) },
            5 => Self::TxnTooLong { operations: len(0) },
            6 => Self::LeaseUnknown { lease: number(0) },
            7 => Self::LeaseExists { lease: number(0) },
            8 => Self::LeaseTtl { ttl_ms: number(0) },
            9 => Self::TooManyLeases,
            10 => Self::ClientForgotten { client: number(0) },
            11 => Self::SequenceGap { client: number(0), sequence: number(1), last: number(2) },
            12 => Self::AnswerGone { revision: number(0) },
            13 => Self::LeaseRenewed { lease: number(0) },
            _ => return Err(UnknownRefusal),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_told_again_as_it_was() {
        for code in 1..=13 {
            let stored = Refusal { code, numbers: vec![7, 8, 9] };
            let error = StoreError::try_from(stored).unwrap();
            assert_eq!(StoreError::try_from(Refusal::of(&error)), Ok(error));
        }
        let next = Refusal { code: 14, numbers: vec![] };
        assert_eq!(StoreError::try_from(next), Err(UnknownRefusal));
    }
}
