//! What a leader knows of its followers: how long appends take, and how many arrived.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::core::MemberId;

/// See the module. It has the followers that were added and no others, so whoever adds peers bounds it.
#[derive(Debug, Clone)]
pub struct LeaderStats {
    me: MemberId,
    followers: BTreeMap<MemberId, FollowerStats>,
}

/// Of one follower.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FollowerStats {
    latency: LatencyStats,
    successes: u64,
    failures: u64,
}

/// How long appends took that arrived, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencyStats {
    current: f64,
    average: f64,
    #[serde(rename = "standardDeviation")]
    standard_deviation: f64,
    minimum: f64,
    maximum: f64,
    /// The sum of the squares of the distances from the average. It cannot fall below zero by rounding as a difference of
    /// two averages can.
    #[serde(skip)]
    squares: f64,
}

impl LeaderStats {
    /// Of a node that knows no follower yet.
    #[must_use]
    pub const fn new(me: MemberId) -> Self {
        Self { me, followers: BTreeMap::new() }
    }

    /// A peer is there. What is known of one that was there already stays.
    pub fn add_follower(&mut self, follower: MemberId) {
        self.followers.entry(follower).or_default();
    }

    /// A peer is gone, and so is what was known of it.
    pub fn remove_follower(&mut self, follower: MemberId) {
        self.followers.remove(&follower);
    }

    /// So many appends to a follower arrived, each of which took so long. Those to nobody that was added do not count.
    pub fn handle_successes(&mut self, follower: MemberId, count: u32, latency: Duration) {
        if let Some(follower) = self.followers.get_mut(&follower) {
            follower.latency.handle(latency, follower.successes, count);
            follower.successes = follower.successes.saturating_add(count.into());
        }
    }

    /// An append to a follower did not arrive. One to nobody that was added does not count.
    pub fn handle_failure(&mut self, follower: MemberId) {
        if let Some(follower) = self.followers.get_mut(&follower) {
            follower.failures = follower.failures.saturating_add(1);
        }
    }

    /// What is known of a follower.
    #[must_use]
    pub fn follower(&self, follower: MemberId) -> Option<&FollowerStats> {
        self.followers.get(&follower)
    }

    /// How many there are.
    #[must_use]
    pub fn followers_len(&self) -> usize {
        self.followers.len()
    }
}

impl FollowerStats {
    /// Appends that arrived.
    #[must_use]
    pub const fn successes(&self) -> u64 {
        self.successes
    }

    /// Appends that did not.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// How long those took that arrived.
    #[must_use]
    pub const fn latency(&self) -> &LatencyStats {
        &self.latency
    }
}

impl LatencyStats {
    /// The last one.
    #[must_use]
    pub const fn current_ms(&self) -> f64 {
        self.current
    }

    /// All of them.
    #[must_use]
    pub const fn average_ms(&self) -> f64 {
        self.average
    }

    /// How far they are from that.
    #[must_use]
    pub const fn standard_deviation_ms(&self) -> f64 {
        self.standard_deviation
    }

    /// The shortest; 0 before the first.
    #[must_use]
    pub const fn minimum_ms(&self) -> f64 {
        self.minimum
    }

    /// The longest.
    #[must_use]
    pub const fn maximum_ms(&self) -> f64 {
        self.maximum
    }

    /// So many more, all alike, after `before` of them.
    fn handle(&mut self, latency: Duration, before: u64, count: u32) {
        if count == 0 {
            return;
        }
        let current = latency.as_secs_f64() * 1e3;
        let (old, new) = (before as f64, f64::from(count));
        let all = old + new;
        let distance = current - self.average;
        self.current = current;
        self.average += distance * new / all;
        self.squares += distance * distance * old * new / all;
        self.standard_deviation = (self.squares / all).sqrt();
        self.minimum = if before == 0 { current } else { self.minimum.min(current) };
        self.maximum = self.maximum.max(current);
    }
}

/// What etcd calls `LeaderStats`.
impl Serialize for LeaderStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LeaderStats", 2)?;
        fields.serialize_field("leader", &self.me.to_string())?;
        fields.serialize_field("followers", &Followers(&self.followers))?;
        fields.end()
    }
}

struct Followers<'a>(&'a BTreeMap<MemberId, FollowerStats>);

impl Serialize for Followers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, follower)| (id.to_string(), follower)))
    }
}

impl Serialize for FollowerStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("FollowerStats", 2)?;
        fields.serialize_field("latency", &self.latency)?;
        fields.serialize_field("counts", &Counts { fail: self.failures, success: self.successes })?;
        fields.end()
    }
}

#[derive(Serialize)]
struct Counts {
    fail: u64,
    success: u64,
}
