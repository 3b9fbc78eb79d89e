//! Every bound of this crate, each with its reason.

/// Bytes before a packet's body: one of kind, three of length.
pub const PACKET_HEADER_LEN: usize = 4;

/// The longest body a packet can have, because its length is a 24-bit number.
pub const PACKET_BODY_LEN_MAX: usize = (1 << 24) - 1;

/// The longest body a server takes from a client unless told otherwise: what nano takes, so that every client made for it fits.
pub const PACKET_BODY_LEN_IN_DEFAULT: usize = 64 * 1024;

/// The first buffer of a body that did not come in one piece; it then grows with the bytes that really came.
pub const PARTIAL_BODY_LEN_START: usize = 64;

/// The longest route name, because its length is one byte.
pub const ROUTE_LEN_MAX: usize = 255;

/// The longest payload a server inflates to unless told otherwise: four times what may come in, which game and chat JSON rarely exceeds.
pub const INFLATED_LEN_MAX_DEFAULT: usize = 4 * PACKET_BODY_LEN_IN_DEFAULT;

/// Payloads below this are never compressed: a zlib stream's own bytes and its set-up cost more than they save.
pub const DEFLATE_LEN_MIN: usize = 64;

/// The longest kick reason in bytes, ours and theirs: it is a sentence for a player, and longer ones are cut.
pub const KICK_REASON_LEN_MAX: usize = 1024;

/// The largest request id our client uses: clients and servers in JavaScript count in signed 32-bit numbers.
pub const REQUEST_ID_MAX: u64 = (1 << 31) - 1;

/// Requests a client may have unanswered unless told otherwise; the bound keeps a stalled server from filling the client's memory.
pub const IN_FLIGHT_MAX_DEFAULT: usize = 1024;

/// Bytes a client may have encoded but not handed to its socket unless told otherwise.
pub const UNSENT_LEN_MAX_DEFAULT: usize = 4 * 1024 * 1024;

/// How long a client waits for the handshake's answer, and for an answer to a request, unless told otherwise.
pub const CLIENT_TIMEOUT_MS_DEFAULT: u64 = 10_000;
