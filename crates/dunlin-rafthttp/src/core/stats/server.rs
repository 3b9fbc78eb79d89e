//! Appends received and sent by this node, and who leads.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::rate::{Rates, RequestRates};
use super::text;
use crate::core::MemberId;

/// What a node is in its cluster, as far as appends tell: who sends one leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum ServerRole {
    /// It received the last append, or there was none.
    #[serde(rename = "StateFollower")]
    Follower,
    /// It sent the last append.
    #[serde(rename = "StateLeader")]
    Leader,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct ServerStats {
    name: String,
    me: MemberId,
    role: ServerRole,
    started_at: Instant,
    start_clock: SystemTime,
    leader: Option<(MemberId, Instant)>,
    received: Direction,
    sent: Direction,
}

#[derive(Debug, Clone, Default)]
struct Direction {
    requests: u64,
    rates: RequestRates,
}

impl Direction {
    fn handle_request(&mut self, now: Instant, bytes: u64) {
        self.requests = self.requests.saturating_add(1);
        self.rates.handle_request(now, bytes);
    }
}

impl ServerStats {
    /// Of a node that starts now, by both clocks.
    #[must_use]
    pub(crate) fn new(now: Instant, clock: SystemTime, name: impl Into<String>, me: MemberId) -> Self {
        Self {
            name: name.into(),
            me,
            role: ServerRole::Follower,
            started_at: now,
            start_clock: clock,
            leader: None,
            received: Direction::default(),
            sent: Direction::default(),
        }
    }

    /// An append of so many bytes came from a leader.
    pub(crate) fn handle_append_received(&mut self, now: Instant, leader: MemberId, bytes: u64) {
        self.role = ServerRole::Follower;
        self.follow(now, leader);
        self.received.handle_request(now, bytes);
    }

    /// An append of so many bytes is sent.
    pub(crate) fn handle_append_sent(&mut self, now: Instant, bytes: u64) {
        self.role = ServerRole::Leader;
        self.follow(now, self.me);
        self.sent.handle_request(now, bytes);
    }

    fn follow(&mut self, now: Instant, leader: MemberId) {
        if self.leader.is_none_or(|(known, _)| known != leader) {
            self.leader = Some((leader, now));
        }
    }

    /// What there is to read now.
    #[must_use]
    pub(crate) fn report(&self, now: Instant) -> ServerStatsReport {
        let leader = match self.leader {
            Some((leader, since)) => LeaderReport {
                leader: leader.to_string(),
                uptime: text::duration(now.saturating_duration_since(since)),
                start_time: text::time(self.clock_at(since)),
            },
            None => LeaderReport {
                leader: String::new(),
                uptime: text::duration(Duration::ZERO),
                start_time: text::time(None),
            },
        };
        let (received, sent) = (self.received.rates.rates(now), self.sent.rates.rates(now));
        // Of a rate of zero etcd says nothing either; only one of bytes can be.
        let requests = |rates: Option<Rates>| rates.map(|rates| rates.requests);
        let bytes = |rates: Option<Rates>| rates.map(|rates| rates.bytes).filter(|rate| *rate > 0.0);
        ServerStatsReport {
            name: self.name.clone(),
            id: self.me.to_string(),
            state: self.role,
            start_time: text::time(Some(self.start_clock)),
            leader_info: leader,
            recv_append_requests: self.received.requests,
            recv_requests_per_second: requests(received),
            recv_bytes_per_second: bytes(received),
            send_append_requests: self.sent.requests,
            send_requests_per_second: requests(sent),
            send_bytes_per_second: bytes(sent),
        }
    }

    /// The clock at an instant, by how long after the start that was. So a clock that is set in between changes nothing.
    fn clock_at(&self, instant: Instant) -> Option<SystemTime> {
        self.start_clock.checked_add(instant.saturating_duration_since(self.started_at))
    }
}

/// What etcd calls `ServerStats`, to be written as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStatsReport {
    name: String,
    id: String,
    state: ServerRole,
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "leaderInfo")]
    leader_info: LeaderReport,
    #[serde(rename = "recvAppendRequestCnt")]
    recv_append_requests: u64,
    #[serde(rename = "recvPkgRate", skip_serializing_if = "Option::is_none")]
    recv_requests_per_second: Option<f64>,
    #[serde(rename = "recvBandwidthRate", skip_serializing_if = "Option::is_none")]
    recv_bytes_per_second: Option<f64>,
    #[serde(rename = "sendAppendRequestCnt")]
    send_append_requests: u64,
    #[serde(rename = "sendPkgRate", skip_serializing_if = "Option::is_none")]
    send_requests_per_second: Option<f64>,
    #[serde(rename = "sendBandwidthRate", skip_serializing_if = "Option::is_none")]
    send_bytes_per_second: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LeaderReport {
    leader: String,
    uptime: String,
    #[serde(rename = "startTime")]
    start_time: String,
}
