//! Time as this crate sees it: milliseconds since an origin the caller picks, handed in with every call.

/// Monotonic milliseconds since an origin the caller picks and keeps. All arithmetic saturates, so that no time a peer or a
/// suspended machine brings about can overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// A time that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// This time and `ms` more.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 when that is later than this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Millis::MAX.plus(1), Millis::MAX);
        assert_eq!(Millis(5).since(Millis(6)), 0);
        assert_eq!(Millis(5).plus(3).since(Millis(6)), 2);
    }
}
