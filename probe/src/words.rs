//! What clients and backends say to each other.

use dunlin::Event;
use serde::{Deserialize, Serialize};

/// The route of requests.
pub(crate) const NEXT: &str = "Probe.next";

/// A request: its number is one more than that of the one before on the same connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// A name that no other connection has or had.
    pub(crate) who: String,
    pub(crate) number: u64,
}

/// What a backend knows of a session from its first request there until its end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// The life of the node: another one after a restart.
    pub(crate) life: u64,
    /// The number of the visit in that life.
    pub(crate) visit: u64,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// As it was said in the first request of the visit.
    pub(crate) who: String,
    pub(crate) session: u64,
    pub(crate) number: u64,
    /// The number of the request that was handled before in this visit.
    pub(crate) before: Option<u64>,
    pub(crate) visit: Visit,
    /// The name of the backend.
    pub(crate) node: String,
}

/// What is pushed before each answer.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event("onBeat")]
pub(crate) struct Beat {
    pub(crate) who: String,
    pub(crate) session: u64,
    pub(crate) number: u64,
    pub(crate) visit: Visit,
}
