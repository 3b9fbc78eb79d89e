//! UTF-8 checked piece by piece: invalid text is refused at the first byte that cannot be mended by what follows.

/// Where a text stands at the end of a piece: the bytes of a character whose end has not come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Utf8Check {
    carry: [u8; 3],
    carry_len: u8,
}

/// The text can no longer become UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Utf8Check {
    /// Looks at the next piece of the text.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let mut rest = bytes;
        while self.carry_len > 0 {
            let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
            self.push_onto_carry(byte)?;
            rest = tail;
        }
        self.keep_tail(rest)
    }

    /// Whether the text may end here.
    pub(super) const fn is_complete(self) -> bool {
        self.carry_len == 0
    }

    fn push_onto_carry(&mut self, byte: u8) -> Result<(), NotUtf8> {
        let [a, b, c] = self.carry;
        let (sequence, len) = match self.carry_len {
            1 => ([a, byte, 0, 0], 2),
            2 => ([a, b, byte, 0], 3),
            _ => ([a, b, c, byte], 4),
        };
        let (sequence, _) = sequence.split_at(len);
        self.carry_len = 0;
        self.keep_tail(sequence)
    }

    /// Checks `bytes` as text that begins with a character, and keeps an unfinished last one.
    fn keep_tail(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let Err(error) = std::str::from_utf8(bytes) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        let (_, tail) = bytes.split_at(error.valid_up_to());
        for (slot, &byte) in self.carry.iter_mut().zip(tail) {
            *slot = byte;
            self.carry_len += 1;
        }
        Ok(())
    }
}
