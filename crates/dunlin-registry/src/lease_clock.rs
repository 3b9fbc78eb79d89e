//! When leases are over, by the leader's clock.
//!
//! The store knows leases and nothing of time. The leader looks at them now and then with a clock that never goes back, and proposes
//! to end those that nobody kept alive for their time; the entry ends a lease only if nobody did meanwhile. A new leader knows not
//! how long the others have waited and begins anew with each.
//!
//! Invariants: no lease is over before its time has gone by on one leader's clock; what is over is said again until it is gone, but
//! not with every look: where commits take longer than looks, the log would fill with the same.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::LeaseLook;

/// What is over is said again after so long.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct LeaseClock {
    known: HashMap<u64, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    renewed_at: u64,
    ends_at: Instant,
    /// When it was said last that it is over.
    said_at: Option<Instant>,
    /// By which look it was seen last, to find those that are gone.
    is_seen: bool,
}

impl LeaseClock {
    /// This member leads from now on, or no longer does: what it knew means nothing.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Looks at all leases there are, and gives those that are over and were not given just before.
    pub fn look(&mut self, now: Instant, leases: impl IntoIterator<Item = LeaseLook>) -> Vec<LeaseLook> {
        let mut over = Vec::new();
        for look in leases {
            let LeaseLook { lease, ttl_ms, renewed_at } = look;
            let ends_at = || now + Duration::from_millis(ttl_ms);
            let fresh = || Known { renewed_at, ends_at: ends_at(), said_at: None, is_seen: true };
            let known = self.known.entry(lease).or_insert_with(fresh);
            if known.renewed_at != renewed_at {
                *known = fresh();
            }
            known.is_seen = true;
            let is_said = known.said_at.is_some_and(|said_at| now < said_at + SAID_AGAIN_AFTER);
            if known.ends_at <= now && !is_said {
                known.said_at = Some(now);
                over.push(look);
            }
        }
        self.known.retain(|_, known| std::mem::take(&mut known.is_seen));
        over
    }

    /// How long a lease has left; `None` for one that was not looked at.
    #[must_use]
    pub fn left(&self, now: Instant, lease: u64) -> Option<Duration> {
        self.known.get(&lease).map(|known| known.ends_at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(lease: u64, renewed_at: u64) -> LeaseLook {
        LeaseLook { lease, ttl_ms: 1000, renewed_at }
    }

    fn ids(over: Vec<LeaseLook>) -> Vec<u64> {
        over.into_iter().map(|look| look.lease).collect()
    }

    #[test]
    fn a_lease_is_over_when_nobody_kept_it_alive_for_its_time() {
        let (mut clock, begin) = (LeaseClock::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(ids(clock.look(at(0), [lease(1, 5), lease(2, 6)])).is_empty());
        assert!(ids(clock.look(at(600), [lease(1, 7), lease(2, 6)])).is_empty());
        assert_eq!(clock.left(at(700), 1), Some(Duration::from_millis(900)));
        assert_eq!(ids(clock.look(at(1000), [lease(1, 7), lease(2, 6)])), [2]);
        assert!(ids(clock.look(at(1100), [lease(1, 7), lease(2, 6)])).is_empty(), "it was said just now");
        assert_eq!(ids(clock.look(at(1600), [lease(1, 7), lease(2, 6)])), [1]);
        assert_eq!(ids(clock.look(at(2000), [lease(1, 7), lease(2, 6)])), [2], "until it is gone");
        assert_eq!(ids(clock.look(at(2600), [lease(1, 7)])), [1]);
        assert_eq!(clock.left(at(2600), 2), None);
    }

    #[test]
    fn a_lease_that_was_over_and_is_kept_alive_after_all_is_over_anew_after_its_time() {
        let (mut clock, begin) = (LeaseClock::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        clock.look(at(0), [lease(1, 5)]);
        assert_eq!(ids(clock.look(at(1000), [lease(1, 5)])), [1]);
        assert!(ids(clock.look(at(1100), [lease(1, 8)])).is_empty());
        assert_eq!(ids(clock.look(at(2100), [lease(1, 8)])), [1]);
    }

    #[test]
    fn a_new_leader_gives_every_lease_its_full_time() {
        let (mut clock, begin) = (LeaseClock::default(), Instant::now());
        clock.look(begin, [lease(1, 5)]);
        clock.forget();
        let later = begin + Duration::from_millis(1500);
        assert!(ids(clock.look(later, [lease(1, 5)])).is_empty());
        assert_eq!(clock.left(later, 1), Some(Duration::from_secs(1)));
    }
}
