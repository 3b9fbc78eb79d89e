//! When to try again after a drop: full jitter, so that the clients of a server that comes back do not all come at once.

use std::time::Duration;

use crate::state::CloseReason;

/// No server sends us away for longer.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// How a client comes back after a drop. Without one it does not.
///
/// Try number *n* waits a random time between nothing and `base` × 2ⁿ, at most `max`. The count begins anew once a connection has
/// lasted for `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    base: Duration,
    max: Duration,
    attempts_max: Option<u32>,
}

impl Reconnect {
    /// Tries until it succeeds, is refused for good, or the client is closed.
    #[must_use]
    pub const fn full_jitter(base: Duration, max: Duration) -> Self {
        Self { base, max, attempts_max: None }
    }

    /// Gives up after this many tries in a row.
    #[must_use]
    pub const fn attempts_max(mut self, attempts_max: u32) -> Self {
        self.attempts_max = Some(attempts_max);
        self
    }

    /// The wait before try number `attempt`, counted from 0, where `random` is drawn evenly from 0 to 1; `None` to give up.
    pub(crate) fn delay(&self, attempt: u32, random: f64) -> Option<Duration> {
        if self.attempts_max.is_some_and(|attempts_max| attempt >= attempts_max) {
            return None;
        }
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        let longest = self.base.saturating_mul(factor).min(self.max);
        Some(longest.mul_f64(random.clamp(0.0, 1.0)))
    }

    /// The same after a connection that ended so: a server that sent us away said itself how long the first wait may be.
    pub(crate) fn delay_after(&self, reason: &CloseReason, attempt: u32, random: f64) -> Option<Duration> {
        let delay = self.delay(attempt, random)?;
        match reason {
            CloseReason::SentAway { within } if attempt == 0 => {
                Some((*within).min(AWAY_MAX).mul_f64(random.clamp(0.0, 1.0)))
            }
            _ => Some(delay),
        }
    }

    /// Whether a connection that lasted this long was a success, after which tries are counted anew.
    pub(crate) fn is_success(&self, lasted: Duration) -> bool {
        lasted >= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Reconnect = Reconnect::full_jitter(Duration::from_millis(100), Duration::from_secs(5));

    #[test]
    fn longest_wait_doubles_up_to_the_maximum() {
        let longest = |attempt| POLICY.delay(attempt, 1.0).unwrap().as_millis();
        assert_eq!(
            [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(longest),
            [100, 200, 400, 3200, 5000, 5000, 5000, 5000]
        );
    }

    #[test]
    fn wait_is_spread_over_the_whole_range() {
        assert_eq!(POLICY.delay(3, 0.0), Some(Duration::ZERO));
        assert_eq!(POLICY.delay(3, 0.5), Some(Duration::from_millis(400)));
    }

    #[test]
    fn a_server_that_sends_us_away_says_how_long_the_first_wait_may_be_within_reason() {
        let wait = |within, attempt| {
            let reason = CloseReason::SentAway { within: Duration::from_secs(within) };
            POLICY.delay_after(&reason, attempt, 0.5)
        };
        assert_eq!(wait(30, 0), Some(Duration::from_secs(15)));
        assert_eq!(wait(u64::MAX, 0), Some(AWAY_MAX / 2));
        assert_eq!(wait(30, 1), POLICY.delay(1, 0.5));
    }

    #[test]
    fn tries_end_at_their_maximum() {
        let policy = POLICY.attempts_max(2);
        assert!(policy.delay(1, 0.5).is_some());
        assert_eq!(policy.delay(2, 0.5), None);
    }

    #[test]
    fn connection_shorter_than_the_longest_wait_is_no_success() {
        assert!(!POLICY.is_success(Duration::from_secs(4)));
        assert!(POLICY.is_success(Duration::from_secs(5)));
    }
}
