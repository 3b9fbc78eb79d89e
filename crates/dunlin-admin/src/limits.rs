//! Bounds of the admin port, each with its reason.

use std::time::Duration;

/// Connections at the same time. A page takes three; a scraper one.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest body of a request: what is asked for is a few names.
pub(crate) const BODY_LEN_MAX: usize = 16 * 1024;

/// How long the port waits when no connection can be accepted.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Characters that a token has at least: 16 random bytes in hexadecimal digits are more.
pub(crate) const TOKEN_LEN_MIN: usize = 16;

/// Events that are kept.
pub(crate) const EVENTS_MAX: usize = 200;

/// The longest text of an event, in bytes.
pub(crate) const EVENT_TEXT_LEN_MAX: usize = 512;

/// How often nodes are looked at, for events, and pages are told.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a shard may take to answer until the node is not ready.
pub(crate) const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// How long another node may take to say how it does.
pub(crate) const OTHER_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest answer of another node.
pub(crate) const OTHER_LEN_MAX: usize = 4 << 20;

/// Other nodes that are asked at the same time.
pub(crate) const OTHERS_AT_ONCE_MAX: usize = 32;

/// Sessions on one page.
pub(crate) const SESSIONS_MAX: usize = 50;

/// Groups of a node that are shown and measured, the largest.
pub(crate) const GROUPS_MAX: usize = 50;

/// Keys with leases that are read.
pub(crate) const LEASED_KEYS_MAX: u64 = 500;
