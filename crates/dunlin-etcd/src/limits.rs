//! Every bound of this crate, each with its reason. What a registry takes is in the limits of `dunlin-registry`.

use std::time::Duration;

/// How long a request may take unless its caller says otherwise: as long as of the registry's own client.
pub const REQUEST_TIMEOUT: Duration = dunlin_registry::limits::REQUEST_TIMEOUT;

/// How long a connection may take to come about: members are near each other, and there are others.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long it is waited, once around, before members are asked again that could not answer.
pub const PAUSE: Duration = Duration::from_millis(100);

/// How often a silent connection is tried: a server of etcd's ends one that is tried more than every 5 seconds.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to that may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most that a message may have that comes: what a range gives, with room for more that a member had to read whole.
pub const MESSAGE_LEN_MAX: usize = 16 * 1024 * 1024;

/// The most that a request may have unless the servers are told otherwise (`--max-request-bytes`). It is they who refuse what is longer.
pub const REQUEST_LEN_MAX: usize = 1536 * 1024;

/// Keys that are asked for at a time, each smaller one after the one before gave too long a message. Of the fewest, none of which is
/// longer than a request, all fit.
pub const RANGE_STEPS: [u64; 3] = [dunlin_registry::limits::RANGE_ENTRIES_MAX as u64, 128, 8];
