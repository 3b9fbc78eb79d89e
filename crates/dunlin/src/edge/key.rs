//! Names a connection's place in its shard's table, so that a late event for a former tenant is recognised.

/// Index and generation of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SlotKey {
    /// The key as the token of a poll; [`SlotKey::from_token`] undoes it. Needs a 64-bit `usize`.
    pub(crate) fn token(self) -> mio::Token {
        mio::Token(((self.generation as usize) << 32) | self.index as usize)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the token are 32 bits each")]
    pub(crate) fn from_token(token: mio::Token) -> Self {
        Self { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}
