//! When a node that was not reached is dialed again: soon, then later and later, and soon again once it was there.

use std::time::Duration;

use crate::limits::{REDIAL_PAUSE_MAX, REDIAL_PAUSE_MIN};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: REDIAL_PAUSE_MIN }
    }
}

impl Backoff {
    /// The pause after one more failure. `random` is from 0 to 1: nodes that lost the same peer do not come back at once.
    pub(crate) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(REDIAL_PAUSE_MAX);
        pause.mul_f64(random.clamp(0.0, 1.0).mul_add(0.5, 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_never_beyond() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..10).map(|_| backoff.pause(1.0)).collect();
        assert_eq!(pauses[0], REDIAL_PAUSE_MIN);
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(pauses[9], REDIAL_PAUSE_MAX);
        assert_eq!(backoff.pause(0.0), REDIAL_PAUSE_MAX / 2);
    }
}
