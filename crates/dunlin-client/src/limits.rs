//! Every bound of the client, each with its reason.

use std::time::Duration;

/// Calls that wait for the task of the connection; a caller beyond that waits, within its own deadline.
pub(crate) const COMMAND_QUEUE_DEFAULT: usize = 256;

/// Pushes that wait for one subscriber: some seconds of a busy room. What comes beyond that is dropped and counted.
pub(crate) const PUSH_QUEUE_DEFAULT: usize = 1024;

/// How long an answer may take unless told otherwise.
pub(crate) const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long connecting may take in all, from the name look-up to the server's handshake, unless told otherwise.
pub(crate) const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long the farewell may take: long enough for a distant server to answer, short enough for an impatient user.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes read at once, unless told otherwise: a few hundred small pushes.
pub(crate) const READ_LEN_DEFAULT: usize = 16 * 1024;

/// While more than this waits to be written, no further call is taken and no ping answered.
pub(crate) const OUTPUT_LEN_HIGH: usize = 64 * 1024;

/// A write buffer larger than this is given back once it is empty.
pub(crate) const OUTPUT_LEN_KEPT: usize = 64 * 1024;

/// The longest text taken over from an error body that is not JSON: it is shown to people.
pub(crate) const ERROR_TEXT_LEN_MAX: usize = 256;
