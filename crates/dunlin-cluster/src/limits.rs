//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Bytes that may wait on a link, in each direction: a moment's worth for a peer that is slow, and what it costs when it stays so.
pub const LINK_QUEUE_LEN_MAX: usize = 16 * 1024 * 1024;

/// Bytes of frames that go into one batch, about: enough that a batch costs little beside its frames, and little beside the windows of HTTP/2.
pub const BATCH_LEN_MAX: usize = 256 * 1024;

/// Bytes of a message between nodes: a batch with one frame that is as long as packets of clients are.
pub const MESSAGE_LEN_MAX: usize = 20 * 1024 * 1024;

/// Frames of a batch that are read: the shortest one has some bytes, so that this many never fit by chance.
pub const BATCH_FRAMES_MAX: usize = 65_536;

/// Bytes of a frame besides what it carries, about.
pub const FRAME_OVERHEAD: usize = 32;

/// Sessions in one frame; what is for more goes in several.
pub const FRAME_SESSIONS_MAX: usize = 16_384;

/// Calls that wait for an answer of one node.
pub const WAITING_CALLS_MAX: usize = 262_144;

/// Bytes of what a session carries to other nodes with it.
pub const SHARED_ATTRIBUTES_LEN_MAX: usize = 16 * 1024;

/// The windows of a link's HTTP/2 stream: what is on its way in a long-distance network.
pub const WINDOW_LEN: u32 = 4 * 1024 * 1024;

/// How long a node waits for another one's first words.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// The shortest and the longest pause before a node that was not reached is tried again.
pub const REDIAL_PAUSE_MIN: Duration = Duration::from_millis(50);

/// See [`REDIAL_PAUSE_MIN`].
pub const REDIAL_PAUSE_MAX: Duration = Duration::from_millis(1_000);

/// Connections to the cluster's port.
pub const CONNECTIONS_MAX: usize = 4_096;

/// How long a stop waits for tasks that were told to end.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a start waits for links to the nodes that are known then.
pub const FIRST_LINKS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a node waits before it tries again to be announced.
pub const ANNOUNCE_PAUSE: Duration = Duration::from_millis(200);
