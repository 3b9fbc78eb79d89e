//! Gathering a piece of known length from input that comes in pieces of any length.

use std::borrow::Cow;

use crate::limits::GATHERED_LEN_START;

/// The beginning of a piece whose end has not come. Between pieces it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Gather {
    held: Vec<u8>,
}

impl Gather {
    /// Takes a piece of `len` bytes from the front of `input` and advances it: borrowed where it is whole, else from what was kept.
    /// `None` when all of `input` was taken and more must come; the next call must then ask for the same length, which was
    /// checked against its limit before.
    pub(super) fn take<'a>(&mut self, input: &mut &'a [u8], len: usize) -> Option<Cow<'a, [u8]>> {
        if self.held.is_empty()
            && let Some((whole, rest)) = input.split_at_checked(len)
        {
            *input = rest;
            return Some(Cow::Borrowed(whole));
        }
        self.hold(input, len);
        (self.held.len() == len).then(|| Cow::Owned(std::mem::take(&mut self.held)))
    }

    /// Takes a number of eight bytes, big-endian.
    pub(super) fn take_u64(&mut self, input: &mut &[u8]) -> Option<u64> {
        let bytes = self.take(input, size_of::<u64>())?;
        bytes.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// Bytes kept of a piece whose end has not come.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    fn hold(&mut self, input: &mut &[u8], len: usize) {
        let missing_len = len.saturating_sub(self.held.len());
        let (taken, rest) = input.split_at(missing_len.min(input.len()));
        let wanted = self.held.len() + taken.len();
        if wanted > self.held.capacity() {
            // Doubling keeps the copying linear; the announced length only ever makes the buffer smaller.
            let capacity = (self.held.capacity() * 2).max(GATHERED_LEN_START);
            let capacity = capacity.max(wanted).min(len);
            self.held.reserve_exact(capacity - self.held.len());
        }
        self.held.extend_from_slice(taken);
        *input = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_piece_is_borrowed_and_one_in_parts_is_owned() {
        let mut gather = Gather::default();
        let mut input: &[u8] = b"abcd";
        assert!(matches!(gather.take(&mut input, 3), Some(Cow::Borrowed(b"abc"))));
        assert!(gather.take(&mut input, 3).is_none());
        assert_eq!((input, gather.len()), (b"".as_slice(), 1));
        let mut input: &[u8] = b"efg";
        assert_eq!(gather.take(&mut input, 3).as_deref(), Some(b"def".as_slice()));
        assert_eq!((input, gather.len()), (b"g".as_slice(), 0));
        assert_eq!(gather.held.capacity(), 0);
    }

    #[test]
    fn empty_piece_needs_no_byte() {
        assert_eq!(Gather::default().take(&mut b"".as_slice(), 0).as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn announced_length_alone_takes_no_memory() {
        let mut gather = Gather::default();
        assert!(gather.take(&mut b"".as_slice(), 1 << 30).is_none());
        assert_eq!(gather.held.capacity(), 0);
        assert!(gather.take(&mut b"a".as_slice(), 1 << 30).is_none());
        assert_eq!(gather.held.capacity(), GATHERED_LEN_START);
        assert!(gather.take(&mut [7; 1000].as_slice(), 1 << 30).is_none());
        assert!(gather.held.capacity() <= 2 * 1001);
    }

    #[test]
    fn buffer_never_grows_over_the_announced_length() {
        let mut gather = Gather::default();
        for _ in 0..99 {
            assert!(gather.take(&mut b"a".as_slice(), 100).is_none());
        }
        assert_eq!(gather.held.capacity(), 100);
        assert!(gather.take(&mut b"a".as_slice(), 100).is_some());
    }
}
