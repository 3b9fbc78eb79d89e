//! Rates over the last requests.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits::{RATE_REQUESTS_MAX, RATE_SILENCE_MAX};

/// The last requests, each with its time and its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestRates {
    requests: VecDeque<(Instant, u64)>,
    bytes: u64,
}

/// Requests and bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) bytes: f64,
}

impl RequestRates {
    pub(super) fn handle_request(&mut self, now: Instant, bytes: u64) {
        if self.requests.len() >= RATE_REQUESTS_MAX {
            let oldest = self.requests.pop_front();
            self.bytes -= oldest.map_or(0, |(_, bytes)| bytes);
        }
        // Beyond the end of its range a sum of lengths would be a lie anyway, but it must stay the sum of what is in the list.
        let bytes = bytes.min(u64::MAX / RATE_REQUESTS_MAX as u64);
        self.bytes += bytes;
        self.requests.push_back((now, bytes));
    }

    /// The rates between the first and the last of them. None after a silence, and where no time passed between them.
    pub(super) fn rates(&self, now: Instant) -> Option<Rates> {
        let (first_at, first_bytes) = *self.requests.front()?;
        let (last_at, _) = *self.requests.back()?;
        let seconds = last_at.saturating_duration_since(first_at).as_secs_f64();
        if seconds == 0.0 || now.saturating_duration_since(last_at) > RATE_SILENCE_MAX {
            return None;
        }
        // The first one begins the time and does not fall into it.
        let bytes = (self.bytes - first_bytes) as f64;
        let requests = (self.requests.len() - 1) as f64;
        Some(Rates { requests: requests / seconds, bytes: bytes / seconds })
    }
}
