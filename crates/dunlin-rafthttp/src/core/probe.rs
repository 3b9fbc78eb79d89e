//! Whether a peer answers, how fast, and how far its clock is from ours: one prober for each peer and channel.
//!
//! It says when to ask, takes what came of it, and now and then has something to say. It knows neither URLs nor connections: who
//! asks picks the next URL after a failure. What it finds says nothing about the status of the peer. Section "Probing" of
//! `docs/protocol/raft.md` in the repository. Read next: `probe/answer.rs`, what a peer answers.
//!
//! Invariants: the next probe is never further away than an idle connection lives; a prober that nobody looks at says nothing
//! twice.

mod answer;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

pub use self::answer::{ProbeAnswer, ProbeAnswerError};
use crate::limits::{
    CLOCK_DRIFT_MAX, PROBE_INTERVAL, PROBE_LOOK_INTERVAL_HEALTHY, PROBE_LOOK_INTERVAL_UNHEALTHY,
};

/// What a probe that was answered brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probed {
    /// From the request to the answer.
    pub(crate) round_trip: Duration,
    /// Our clock when the answer came.
    pub(crate) local_clock: SystemTime,
    /// The peer's, as it stands in the answer.
    pub(crate) remote_clock: SystemTime,
}

impl Probed {
    /// How far apart the clocks are, whichever is ahead: the peer looked at its own half a round trip before.
    fn drift(&self) -> Duration {
        let on_the_way = self.round_trip / 2;
        match self.local_clock.duration_since(self.remote_clock) {
            Ok(behind) => behind.abs_diff(on_the_way),
            Err(ahead) => ahead.duration().saturating_add(on_the_way),
        }
    }
}

/// Whether a peer answers on this channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeHealth {
    /// No probe is over yet.
    Unknown,
    /// The last one was answered.
    Healthy,
    /// The last one was not.
    Unhealthy {
        /// Since when none was.
        since: Instant,
        /// Why, the last time.
        reason: String,
    },
}

/// What is known of a peer by its probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeLook {
    /// The smoothed round trip, for a histogram; none before the first answer.
    pub round_trip: Option<Duration>,
    /// Whether to warn that the peer does not answer.
    pub health: ProbeHealth,
    /// How far the clocks are apart, ahead or behind. What the prober says by itself has only a drift that is worth a warning.
    pub drift: Option<Duration>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    round_trip: Option<Duration>,
    drift: Option<Duration>,
    health: ProbeHealth,
    next_probe_at: Instant,
    next_look_at: Instant,
}

impl Prober {
    /// A prober whose first probe is due.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            round_trip: None,
            drift: None,
            health: ProbeHealth::Unknown,
            next_probe_at: now,
            next_look_at: now + PROBE_LOOK_INTERVAL_UNHEALTHY,
        }
    }

    /// A probe is over, with an answer or for this reason without one.
    pub(crate) fn handle_result(&mut self, now: Instant, result: Result<Probed, &str>) {
        self.next_probe_at = now + PROBE_INTERVAL;
        match result {
            Ok(probed) => {
                // The first one counts whole: smoothed from nothing it would look eight times as fast for a while.
                self.round_trip = Some(self.round_trip.map_or(probed.round_trip, |smoothed| {
                    (smoothed - smoothed / 8).saturating_add(probed.round_trip / 8)
                }));
                self.drift = Some(probed.drift());
                self.health = ProbeHealth::Healthy;
            }
            Err(reason) => {
                let since = match self.health {
                    ProbeHealth::Unhealthy { since, .. } => since,
                    ProbeHealth::Unknown | ProbeHealth::Healthy => now,
                };
                self.health = ProbeHealth::Unhealthy { since, reason: reason.to_owned() };
            }
        }
    }

    /// When to probe next, as long as no probe is on its way.
    #[must_use]
    pub(crate) const fn next_probe_at(&self) -> Instant {
        self.next_probe_at
    }

    /// When to look next.
    #[must_use]
    pub(crate) const fn next_look_at(&self) -> Instant {
        self.next_look_at
    }

    /// What there is to say, if it is time to: often while something is wrong, seldom while nothing is.
    pub(crate) fn poll_look(&mut self, now: Instant) -> Option<ProbeLook> {
        if now < self.next_look_at {
            return None;
        }
        let is_healthy = self.health == ProbeHealth::Healthy;
        self.next_look_at =
            now + if is_healthy { PROBE_LOOK_INTERVAL_HEALTHY } else { PROBE_LOOK_INTERVAL_UNHEALTHY };
        // What a clock was like before the peer went silent is old news.
        let drift = self.drift.filter(|drift| is_healthy && *drift > CLOCK_DRIFT_MAX);
        Some(ProbeLook { round_trip: self.round_trip, health: self.health.clone(), drift })
    }

    /// What is known now; the round trip is smoothed, an eighth of it is the last one's.
    #[must_use]
    pub(crate) fn look(&self) -> ProbeLook {
        ProbeLook { round_trip: self.round_trip, health: self.health.clone(), drift: self.drift }
    }
}
