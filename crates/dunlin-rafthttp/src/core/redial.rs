//! How long to wait before dialing a peer again.

use std::time::Duration;

use crate::limits::{REDIAL_PAUSE_MAX, REDIAL_PAUSE_MIN};

/// The pauses between failed dials: the first is short, each further one twice as long up to the longest, and each is
/// cut at random by up to its half, so that nodes do not dial in step.
#[derive(Debug, Clone)]
pub(crate) struct Redial {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Redial {
    /// With pauses between these two.
    #[must_use]
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), next: min }
    }

    /// The pause after a failure. `chance` is drawn anew each time, from 0 to 1.
    pub(crate) fn handle_failure(&mut self, chance: f64) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        // The very first retry comes on time: most failures are a peer that just restarts.
        if pause == self.min { pause } else { pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0) }
    }

    /// A dial succeeded: the next failure begins anew.
    pub(crate) fn handle_success(&mut self) {
        self.next = self.min;
    }
}

impl Default for Redial {
    fn default() -> Self {
        Self::new(REDIAL_PAUSE_MIN, REDIAL_PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_at_a_tenth_of_a_second_double_and_end_at_five() {
        let mut redial = Redial::default();
        let pauses: Vec<_> = (0..8).map(|_| redial.handle_failure(0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        redial.handle_success();
        assert_eq!(redial.handle_failure(1.0), Duration::from_millis(100));
        assert_eq!(redial.handle_failure(1.0), Duration::from_millis(100), "half of the second");
    }
}
