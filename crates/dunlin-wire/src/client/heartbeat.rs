//! A client's heartbeats: when ours are due, whether the server is alive, and how long a round trip takes.

use crate::time::Millis;

/// What is known of the server's life.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// `None` when the server wants none.
    interval_ms: Option<u64>,
    last_life: Millis,
    next_at: Millis,
    unanswered_since: Option<Millis>,
    round_trip_ms: Option<u64>,
}

impl Heartbeat {
    pub(super) const fn new(now: Millis) -> Self {
        Self { interval_ms: None, last_life: now, next_at: now, unanswered_since: None, round_trip_ms: None }
    }

    /// The server told its interval, if it wants heartbeats.
    pub(super) fn start(&mut self, now: Millis, interval_s: Option<u32>) {
        self.interval_ms = interval_s.map(|seconds| u64::from(seconds) * 1000);
        self.next_at = now.plus(self.period_ms());
    }

    /// Three quarters of the interval: so our heartbeat and the server's answer to it always come before the server's own would be
    /// due, and an answer is not mistaken for one of those.
    fn period_ms(&self) -> u64 {
        self.interval_ms.map_or(0, |interval_ms| interval_ms / 4 * 3)
    }

    /// When the next heartbeat is due or the server dead.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let interval_ms = self.interval_ms?;
        let dead_at = self.last_life.plus(interval_ms.saturating_mul(2)).plus(1);
        Some(self.next_at.min(dead_at))
    }

    /// How long the server was silent, if that is too long.
    pub(super) fn silent_ms(&self, now: Millis) -> Option<u64> {
        let silent_ms = now.since(self.last_life);
        let is_dead = silent_ms > self.interval_ms?.saturating_mul(2);
        is_dead.then_some(silent_ms)
    }

    /// Whether a heartbeat has to be sent now; it then counts as sent.
    pub(super) fn take_due(&mut self, now: Millis) -> bool {
        if self.interval_ms.is_none() || now < self.next_at {
            return false;
        }
        self.next_at = now.plus(self.period_ms());
        self.unanswered_since = Some(now);
        true
    }

    /// Takes a heartbeat from the server: the answer to ours, if one is out.
    pub(super) fn handle_heartbeat(&mut self, now: Millis) {
        if let Some(sent_at) = self.unanswered_since.take() {
            self.round_trip_ms = Some(now.since(sent_at));
        }
    }

    /// Takes any packet from the server.
    pub(super) const fn handle_life(&mut self, now: Millis) {
        self.last_life = now;
    }

    /// The last round trip measured.
    pub(super) const fn is_awaited(&self) -> bool {
        self.unanswered_since.is_some()
    }

    pub(super) const fn round_trip_ms(&self) -> Option<u64> {
        self.round_trip_ms
    }
}
