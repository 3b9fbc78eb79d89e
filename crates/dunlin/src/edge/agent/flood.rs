//! How fast one connection may speak: a bucket of tokens as two numbers, and how long it has been empty.
//!
//! Pure. Time is milliseconds of the turn, so that no message costs a look at a clock; the bucket counts in
//! nanoseconds of its own, so that it takes no division. Whoever owns it stops reading while [`Flood::resume_at`] is
//! to come, and ends the connection once [`Spoken::Flood`] is said.
//!
//! Invariant: over any time the messages that were let through are at most the burst and what the rate gives,
//! rounded up by one.

use dunlin_wire::Millis;

const NANOS_PER_MS: u64 = 1_000_000;
/// How long a connection may be over its rate without a break before it is ended: long enough for a client that
/// sends what had gathered while its network was away.
const FLOOD_MS: u64 = 10_000;
/// Time within its rate that counts as a break.
const BREAK_MS: u64 = 1_000;
/// The unit in which the bucket remembers the last two times, so that they fit four bytes for thirteen years.
const STEP_MS: u64 = 100;

/// What one connection may do, the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloodLimit {
    /// What one message fills of the bucket.
    message_ns: u64,
    /// How full the bucket may be.
    full_ns: u64,
}

impl FloodLimit {
    /// So many messages a second after a burst of so many. `None` is no limit.
    pub(crate) fn new(per_second: Option<u32>, burst: u32) -> Self {
        let message_ns = per_second.map_or(0, |rate| 1_000_000_000 / u64::from(rate.max(1)));
        Self { message_ns, full_ns: message_ns.saturating_mul(u64::from(burst.max(1))) }
    }
}

/// What one connection has said lately.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flood {
    /// When the bucket will be as it was at first, in nanoseconds.
    empty_at_ns: u64,
    /// Since when it has been over its rate, and until when the last pause is, in steps.
    over_since: u32,
    paused_until: u32,
}

/// What a message means for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// It is within the rate.
    Within,
    /// It is the last one for now: the next may be taken then.
    Pause(Millis),
    /// It has been over its rate for too long.
    Flood,
}

impl Flood {
    /// When the next message may be taken after a pause.
    pub(super) fn resume_at(&self, limit: &FloodLimit) -> Millis {
        Millis(self.room_at_ns(limit).div_ceil(NANOS_PER_MS))
    }

    /// Counts one message.
    #[inline]
    pub(super) fn count(&mut self, now: Millis, limit: &FloodLimit) -> Spoken {
        let now_ns = now.0.saturating_mul(NANOS_PER_MS);
        self.empty_at_ns = self.empty_at_ns.max(now_ns).saturating_add(limit.message_ns);
        if self.room_at_ns(limit) <= now_ns { Spoken::Within } else { self.pause(now, self.resume_at(limit)) }
    }

    /// When there is room for one more message.
    fn room_at_ns(&self, limit: &FloodLimit) -> u64 {
        self.empty_at_ns.saturating_add(limit.message_ns).saturating_sub(limit.full_ns)
    }

    #[cold]
    fn pause(&mut self, now: Millis, until: Millis) -> Spoken {
        let (this, last) = (step(now), self.paused_until);
        if last == 0 || this.saturating_sub(last) > step(Millis(BREAK_MS)) {
            self.over_since = this;
        }
        // Zero is for never.
        self.paused_until = step(until).max(1);
        let is_flood = this.saturating_sub(self.over_since) >= step(Millis(FLOOD_MS));
        if is_flood { Spoken::Flood } else { Spoken::Pause(until) }
    }
}

fn step(at: Millis) -> u32 {
    u32::try_from(at.0 / STEP_MS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How a client fares that always has something to say and is asked every `step_ms`: what was let through, and
    /// when it was ended.
    fn spoken(limit: &FloodLimit, step_ms: u64, time_ms: u64) -> (u64, Option<u64>) {
        let (mut flood, mut through, mut resume_at) = (Flood::default(), 0, Millis(0));
        for now in (0..time_ms).step_by(usize::try_from(step_ms).unwrap()).map(Millis) {
            while now >= resume_at {
                match flood.count(now, limit) {
                    Spoken::Within => through += 1,
                    Spoken::Pause(until) => (through, resume_at) = (through + 1, until),
                    Spoken::Flood => return (through, Some(now.0)),
                }
            }
        }
        (through, None)
    }

    #[test]
    fn a_flood_is_held_to_its_rate_and_ended_after_ten_seconds() {
        let limit = FloodLimit::new(Some(1000), 2000);
        let (through, ended) = spoken(&limit, 100, 60_000);
        assert!((11_900..=12_100).contains(&through), "{through} messages in ten seconds");
        assert_eq!(ended, Some(10_000));
    }

    #[test]
    fn a_small_burst_does_not_hide_a_flood_behind_a_coarse_clock() {
        let limit = FloodLimit::new(Some(1000), 10);
        assert_eq!(spoken(&limit, 100, 60_000).1, Some(10_000));
    }

    #[test]
    fn bursts_with_breaks_go_on_for_ever() {
        let limit = FloodLimit::new(Some(100), 200);
        let mut flood = Flood::default();
        for round in 0..20_u64 {
            let now = Millis(round * 3_200);
            for n in 0..200 {
                let spoken = flood.count(now, &limit);
                assert_ne!(spoken, Spoken::Flood);
                assert_eq!(spoken == Spoken::Within, n < 199, "message {n} of round {round}");
            }
        }
    }

    #[test]
    fn a_rate_that_is_kept_is_never_paused() {
        let limit = FloodLimit::new(Some(1000), 2000);
        let mut flood = Flood::default();
        let spoken = (0..100_000).map(|ms| flood.count(Millis(ms), &limit));
        assert!(spoken.into_iter().all(|spoken| spoken == Spoken::Within));
    }

    #[test]
    fn without_a_limit_nothing_is_ever_paused() {
        let limit = FloodLimit::new(None, 0);
        let mut flood = Flood::default();
        assert!((0..100_000).all(|_| flood.count(Millis(5), &limit) == Spoken::Within));
    }

    proptest! {
        /// Whatever the times: what is let through is at most the burst and what the rate gives.
        #[test]
        fn no_schedule_of_messages_gets_more_than_burst_and_rate(
            rate in 1_u32..5_000, burst in 1_u32..5_000, gaps in prop::collection::vec(0_u64..200, 1..400),
        ) {
            let limit = FloodLimit::new(Some(rate), burst);
            let (mut flood, mut now, mut resume_at, mut through) = (Flood::default(), 0, Millis(0), 0_u64);
            for gap in gaps {
                now += gap;
                for _ in 0..100 {
                    if Millis(now) < resume_at {
                        break;
                    }
                    through += 1;
                    match flood.count(Millis(now), &limit) {
                        Spoken::Within => {}
                        Spoken::Pause(until) => resume_at = until,
                        Spoken::Flood => return Ok(()),
                    }
                }
                let given = now * u64::from(rate) / 1000 + u64::from(burst);
                // The rate is a whole number of nanoseconds for each message, which gives a little more.
                prop_assert!(through <= given + given / 100_000 + 1, "{through} of {given} after {now} ms");
            }
        }
    }
}
