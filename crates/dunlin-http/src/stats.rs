//! What a transport says of itself: how many connections there are, what they do, and why they went.

use std::fmt;

use crate::key::ConnKey;

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer closed it, or it failed while idle.
    Peer,
    /// It was idle longer than `idle_conn_timeout`.
    IdleTimeout,
    /// It was older than `max_lifetime`.
    MaxLifetime,
    /// It would have been one idle connection more than its host may have.
    MaxIdlePerHost,
    /// It was the oldest idle connection when there was one too many in all.
    MaxIdle,
    /// Keep-alives are off.
    KeepAlivesDisabled,
    /// Idle connections were asked to close.
    CloseIdle,
    /// It was evicted.
    Evicted,
    /// Its last exchange left it in no state for another one: it was cut short, failed, or said that it closes.
    Exchange,
    /// The caller gave up before the answer.
    Cancelled,
    /// A time was up.
    Timeout,
}

impl CloseCause {
    /// Every cause, in the order of [`ClosedBy::iter`].
    pub const ALL: [Self; 11] = [
        Self::Peer,
        Self::IdleTimeout,
        Self::MaxLifetime,
        Self::MaxIdlePerHost,
        Self::MaxIdle,
        Self::KeepAlivesDisabled,
        Self::CloseIdle,
        Self::Evicted,
        Self::Exchange,
        Self::Cancelled,
        Self::Timeout,
    ];

    /// A short name for metrics and logs, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxLifetime => "max_lifetime",
            Self::MaxIdlePerHost => "max_idle_per_host",
            Self::MaxIdle => "max_idle",
            Self::KeepAlivesDisabled => "keep_alives_disabled",
            Self::CloseIdle => "close_idle",
            Self::Evicted => "evicted",
            Self::Exchange => "exchange",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many connections were closed for which cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClosedBy([u64; CloseCause::ALL.len()]);

impl ClosedBy {
    /// Connections that were closed for this cause.
    #[must_use]
    pub fn count(&self, cause: CloseCause) -> u64 {
        self.iter().find(|(each, _)| *each == cause).map_or(0, |(_, count)| count)
    }

    /// Connections that were closed, for whatever cause.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every cause with its count.
    pub fn iter(&self) -> impl Iterator<Item = (CloseCause, u64)> + '_ {
        CloseCause::ALL.into_iter().zip(self.0.iter().copied())
    }

    pub(crate) fn add(&mut self, cause: CloseCause) {
        let index = CloseCause::ALL.iter().position(|each| *each == cause);
        if let Some(count) = index.and_then(|index| self.0.get_mut(index)) {
            *count += 1;
        }
    }
}

/// The connections of one host, or of all. The first five say how it is now, the others only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnStats {
    /// Connections that wait for a request.
    pub idle: usize,
    /// Connections with a request.
    pub active: usize,
    /// Connections that are being made.
    pub dialing: usize,
    /// Connections that were told to close and have not yet: they still count against `max_conns_per_host`.
    pub closing: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Connections that were made.
    pub opened: u64,
    /// Requests that went over a connection that had served before, or that had been idle.
    pub reused: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Requests that were sent again because their connection had been closed under them.
    pub retries: u64,
    /// Connections that were closed, by cause.
    pub closed: ClosedBy,
}

impl ConnStats {
    /// Connections that count against `max_conns_per_host`: dialing, active, idle and closing ones.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.idle + self.active + self.dialing + self.closing
    }
}

/// A look at the pool of a transport, all of it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// All hosts together, those that are no longer listed included.
    pub total: ConnStats,
    /// Each host by itself: those with connections or waiting requests, and the last
    /// [`QUIET_HOSTS_MAX`](crate::limits::QUIET_HOSTS_MAX) without.
    pub hosts: Vec<(ConnKey, ConnStats)>,
}

impl PoolStats {
    /// The connections of one host.
    #[must_use]
    pub fn host(&self, key: &ConnKey) -> Option<&ConnStats> {
        self.hosts.iter().find(|(each, _)| each == key).map(|(_, stats)| stats)
    }
}
