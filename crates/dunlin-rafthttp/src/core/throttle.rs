//! How fast bytes may go: a token bucket that is told the time.
//!
//! Invariant: of pieces that go when it says, those of any span of time have the rate times that span and the burst together, at
//! most. Who is made to wait has taken its place already, so several share the rate in the order they ask.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The part of a second whose bytes may go at once after a silence. Pieces of that length at most also keep a slow transfer from
/// standing still for longer than a socket may.
const BURSTS_PER_SEC: u64 = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_sec: NonZeroU64,
    /// When everything that was taken is paid for; the burst may be taken from then on.
    paid_at: Option<Instant>,
}

impl Throttle {
    /// One that lets so many bytes go each second.
    pub(crate) const fn new(bytes_per_sec: NonZeroU64) -> Self {
        Self { bytes_per_sec, paid_at: None }
    }

    /// Bytes that may go at once; no piece may be longer.
    pub(crate) fn burst_len(&self) -> u64 {
        (self.bytes_per_sec.get() / BURSTS_PER_SEC).max(1)
    }

    /// A piece is there: how long it has to wait before it goes.
    pub(crate) fn handle_piece(&mut self, now: Instant, len: u64) -> Duration {
        let begins = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        let paid_at = begins + self.time_of(len);
        self.paid_at = Some(paid_at);
        paid_at.saturating_duration_since(now).saturating_sub(self.time_of(self.burst_len()))
    }

    /// Rounded up for a piece and for the burst alike.
    fn time_of(&self, len: u64) -> Duration {
        let nanos = (u128::from(len) * 1_000_000_000).div_ceil(u128::from(self.bytes_per_sec.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn throttle(bytes_per_sec: u64) -> Throttle {
        Throttle::new(NonZeroU64::new(bytes_per_sec).unwrap())
    }

    #[test]
    fn a_burst_goes_at_once_and_what_follows_waits_for_its_time() {
        let (mut throttle, now) = (throttle(16_000), Instant::now());
        assert_eq!(throttle.burst_len(), 1_000);
        assert_eq!(throttle.handle_piece(now, 1_000), Duration::ZERO);
        assert_eq!(throttle.handle_piece(now, 800), Duration::from_millis(50));
        assert_eq!(throttle.handle_piece(now, 800), Duration::from_millis(100), "behind the one before");
        let later = now + Duration::from_secs(60);
        assert_eq!(
            throttle.handle_piece(later, 1_000),
            Duration::ZERO,
            "a silence is a burst, not a minute's bytes"
        );
        assert_eq!(throttle.handle_piece(later, 160), Duration::from_millis(10));
    }

    proptest! {
        #[test]
        fn no_span_of_time_has_more_than_rate_and_burst(
            bytes_per_sec in 1..200_000_000_u64,
            pieces in vec((0..500_000_000_u64, any::<u64>()), 1..60),
        ) {
            let (mut throttle, mut now) = (throttle(bytes_per_sec), Instant::now());
            let burst_len = throttle.burst_len();
            let mut gone: Vec<(Instant, u64)> = Vec::new();
            for (nanos, len) in pieces {
                now += Duration::from_nanos(nanos);
                let len = len % burst_len + 1;
                gone.push((now + throttle.handle_piece(now, len), len));
            }
            for (first, (begin, _)) in gone.iter().enumerate() {
                let mut len_all = 0;
                for (end, len) in gone.iter().skip(first) {
                    len_all += len;
                    let span = end.duration_since(*begin).as_nanos();
                    // A byte for what rounding a burst's time up to a nanosecond lets go early.
                    let allowed = u128::from(bytes_per_sec) * (span + 1) / 1_000_000_000 + u128::from(burst_len) + 1;
                    prop_assert!(u128::from(len_all) <= allowed, "{len_all} bytes of {allowed} in {span} ns");
                }
            }
        }

        #[test]
        fn nobody_waits_longer_than_all_that_was_taken_takes(
            bytes_per_sec in 16..200_000_000_u64,
            pieces in vec(any::<u64>(), 1..60),
        ) {
            let (mut throttle, now) = (throttle(bytes_per_sec), Instant::now());
            let burst_len = throttle.burst_len();
            let mut len_all = 0;
            for len in pieces {
                let len = len % burst_len + 1;
                len_all += len;
                let wait = throttle.handle_piece(now, len);
                let seconds = len_all.saturating_sub(burst_len) as f64 / bytes_per_sec as f64;
                prop_assert!((wait.as_secs_f64() - seconds).abs() < 1e-6);
            }
        }
    }
}
