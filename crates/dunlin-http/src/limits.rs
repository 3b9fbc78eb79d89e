//! Every bound and time of the crate that has a default, each with its reason.
//!
//! What a user can change is a method of [`Builder`](crate::Builder) of the same name in lower case.

use std::time::Duration;

/// Idle connections kept for one host: Go's `DefaultMaxIdleConnsPerHost`.
pub const MAX_IDLE_CONNS_PER_HOST: usize = 2;

/// Idle connections kept in all: that of Go's `DefaultTransport`.
pub const MAX_IDLE_CONNS: usize = 100;

/// How long a connection may be idle: that of Go's `DefaultTransport`; most servers wait a little longer or less.
pub const IDLE_CONN_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a dial may take, resolving included: that of Go's `DefaultTransport`.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a TLS handshake may take: that of Go's `DefaultTransport`.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request with `Expect: 100-continue` waits for leave to send its body: that of Go's `DefaultTransport`.
pub const EXPECT_CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the kernel probes a silent TCP connection: that of Go's `DefaultTransport`.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Bytes of a response's head. Go takes 10 MiB; what a server needs of it fits into a sixteenth of a megabyte, and a
/// client with many connections should not owe each of them more.
pub const MAX_RESPONSE_HEADER_BYTES: usize = 256 * 1024;

/// The smallest head that may be set as the limit: below it ordinary servers are refused.
pub const MAX_RESPONSE_HEADER_BYTES_MIN: usize = 1024;

/// Header fields of a response that are parsed without an allocation.
pub const MAX_RESPONSE_HEADERS: usize = 100;

/// Requests of one host that wait for a connection. Go has no bound; a queue of this length is a failure that should
/// be told.
pub const MAX_WAITING_PER_HOST: usize = 65_536;

/// Bytes of an unread response body that are read on, so that its connection can be used again. Go's constant.
pub const DRAIN_LEN_MAX: u64 = 256 * 1024;

/// How long an unread response body is read on. Go's constant.
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// How long a connection whose response is complete may still send its request before it is closed. Go's constant.
pub const UPLOAD_GRACE: Duration = Duration::from_millis(50);

/// How long an answer is awaited after the request could not be written to its end: a server that refuses a body
/// answers before it closes.
pub const ANSWER_GRACE: Duration = Duration::from_millis(50);

/// How often a request is sent again that an HTTP/2 server refused without a look at it. Over a connection that lives
/// on, this would otherwise have no end. Go's constant.
pub const REFUSED_RETRIES_MAX: u32 = 6;

/// Hosts whose counters are remembered while nothing is open to them; beyond that the counters of a quiet host go.
pub const QUIET_HOSTS_MAX: usize = 1024;

/// Streams of an HTTP/2 connection before its server has said how many it takes. Go's constant.
pub const HTTP2_STREAMS_BEFORE_SETTINGS: usize = 100;

/// The part of `max_lifetime` by which a connection may go earlier, drawn anew for each one, so that those opened
/// together do not go together.
pub const LIFETIME_JITTER_PART: u32 = 8;

/// How long a connection that is closed while idle may take to say goodbye to its peer.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_millis(50);
