//! What a transport is set to: the choices a [`Builder`](crate::Builder) offers, as types.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::pool::PoolConfig;

/// How many idle connections are kept for one host: Go's `MaxIdleConnsPerHost`, whose zero means 2 and whose negative
/// numbers mean never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxIdlePerHost {
    /// None: each connection serves one request. Unlike with keep-alives disabled, the peer is not told.
    Never,
    /// So many. One that becomes idle beyond that is closed.
    AtMost(usize),
    /// As many as come back.
    Unlimited,
}

impl Default for MaxIdlePerHost {
    fn default() -> Self {
        Self::AtMost(limits::MAX_IDLE_CONNS_PER_HOST)
    }
}

impl From<usize> for MaxIdlePerHost {
    /// Zero is [`MaxIdlePerHost::Never`].
    fn from(max: usize) -> Self {
        if max == 0 { Self::Never } else { Self::AtMost(max) }
    }
}

/// Which idle connection serves next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReuseOrder {
    /// The one that became idle last, as in Go: few connections stay busy, the others age and go.
    #[default]
    NewestFirst,
    /// The one that is idle for longest, so that they take turns: load spreads, nothing ages.
    OldestFirst,
}

/// What becomes of a dial whose request was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCancelDial {
    /// It goes on, and its connection serves the next request, as in Go.
    #[default]
    Keep,
    /// It is given up, unless another request waits for a connection to the same host.
    Abort,
}

/// What a request does when every HTTP/2 connection to its host has as many streams as the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2AtLimit {
    /// It dials another connection, as far as `max_conns_per_host` goes: Go's default.
    #[default]
    Grow,
    /// It waits for a stream: Go's `StrictMaxConcurrentRequests`.
    Wait,
}

/// The protocols that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocols {
    /// HTTP/1.1 alone.
    Http1,
    /// Over TLS what the server chooses by ALPN, in plain text HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/2 alone, also in plain text: the server is known to speak it.
    Http2PriorKnowledge,
}

/// The protocol of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many.
    Http2,
}

/// How a living HTTP/2 connection is told from a dead one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Ping {
    /// A ping is sent after so long without a word from the peer, also while the connection is idle.
    pub interval: Duration,
    /// A connection whose peer does not answer in this time is closed.
    pub timeout: Duration,
}

/// What the parts of a transport are told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) pool: PoolConfig,
    pub(crate) protocols: Protocols,
    pub(crate) http2_ping: Option<Http2Ping>,
    pub(crate) dial_timeout: Option<Duration>,
    pub(crate) tls_handshake_timeout: Option<Duration>,
    pub(crate) response_header_timeout: Option<Duration>,
    pub(crate) expect_continue_timeout: Option<Duration>,
    pub(crate) wait_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_response_header_bytes: usize,
    pub(crate) max_response_headers: Option<NonZeroUsize>,
    pub(crate) drain_len_max: u64,
    pub(crate) drain_timeout: Duration,
    pub(crate) trace: Option<Arc<dyn crate::trace::Trace>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool: PoolConfig {
                keeps_alive: true,
                max_conns_per_host: None,
                max_idle: Some(limits::MAX_IDLE_CONNS),
                max_idle_per_host: MaxIdlePerHost::default(),
                idle_timeout: Some(limits::IDLE_CONN_TIMEOUT),
                reuse_order: ReuseOrder::default(),
                on_cancel_dial: OnCancelDial::default(),
                http2_at_limit: Http2AtLimit::default(),
                waiting_max: limits::MAX_WAITING_PER_HOST,
            },
            protocols: Protocols::default(),
            http2_ping: None,
            dial_timeout: Some(limits::DIAL_TIMEOUT),
            tls_handshake_timeout: Some(limits::TLS_HANDSHAKE_TIMEOUT),
            response_header_timeout: None,
            expect_continue_timeout: Some(limits::EXPECT_CONTINUE_TIMEOUT),
            wait_timeout: None,
            read_timeout: None,
            write_timeout: None,
            max_lifetime: None,
            max_response_header_bytes: limits::MAX_RESPONSE_HEADER_BYTES,
            max_response_headers: None,
            drain_len_max: limits::DRAIN_LEN_MAX,
            drain_timeout: limits::DRAIN_TIMEOUT,
            trace: None,
        }
    }
}
