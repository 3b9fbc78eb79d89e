//! How many connections of a shard that stops are told to go by now: some at a time over a window, so that the clients do not all come to
//! another node at once.
//!
//! Pure: the time is an argument.

use dunlin_wire::Millis;

/// How often a batch goes.
const BATCH_MS: u64 = 100;

/// Connections in a batch at least: so few at a time are no crowd, and a small server does not wait.
const BATCH_MIN: u64 = 256;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    begin: Millis,
    window_ms: u64,
    total: u64,
    told: u64,
}

impl Drain {
    /// So many connections go within so long, from now on.
    pub(crate) const fn new(begin: Millis, window_ms: u64, total: usize) -> Self {
        Self { begin, window_ms, total: total as u64, told: 0 }
    }

    /// How many more are to go now.
    pub(crate) fn due(&mut self, now: Millis) -> usize {
        let elapsed = now.0.saturating_sub(self.begin.0);
        let batches = elapsed / BATCH_MS + 1;
        let share = match self.window_ms {
            0 => self.total,
            window_ms => self.total.saturating_mul(batches * BATCH_MS) / window_ms,
        };
        let target = share.max(batches * BATCH_MIN).min(self.total);
        let due = target.saturating_sub(self.told);
        self.told += due;
        usize::try_from(due).unwrap_or(usize::MAX)
    }

    /// Whether all were told.
    pub(crate) const fn is_over(&self) -> bool {
        self.told >= self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_goes_evenly_over_the_window_and_all_of_it_by_its_end() {
        let mut drain = Drain::new(Millis(1_000), 5_000, 100_000);
        let due: Vec<usize> = (0..50).map(|tick| drain.due(Millis(1_000 + tick * 100))).collect();
        assert_eq!(due.iter().sum::<usize>(), 100_000);
        assert!(due.iter().all(|due| *due == 2_000), "{due:?}");
        assert!(drain.is_over());
        assert_eq!(drain.due(Millis(9_000)), 0);
    }

    #[test]
    fn a_few_go_at_once_and_so_do_all_when_there_is_no_window() {
        assert_eq!(Drain::new(Millis(0), 5_000, 200).due(Millis(0)), 200);
        assert_eq!(Drain::new(Millis(0), 0, 100_000).due(Millis(0)), 100_000);
        assert!(Drain::new(Millis(0), 5_000, 0).is_over());
    }

    #[test]
    fn between_two_batches_nobody_goes_and_a_late_look_makes_up_for_it() {
        let mut drain = Drain::new(Millis(0), 1_000, 10_000);
        assert_eq!(drain.due(Millis(0)), 1_000);
        assert_eq!(drain.due(Millis(50)), 0);
        assert_eq!(drain.due(Millis(650)), 6_000);
    }
}
