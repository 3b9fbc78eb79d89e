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

/// Bytes of a message of a Go node, in either direction: what gRPC takes unless it is told otherwise, and Go nodes do not tell it.
pub const NANO_MESSAGE_LEN_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a message about one member: addresses and names of services are short.
pub const NANO_MEMBER_LEN_MAX: usize = 64 * 1024;

/// Bytes of a list of members: a kilobyte for each of a thousand.
pub const NANO_MEMBERS_LEN_MAX: usize = 1024 * 1024;

/// Go nodes that may have registered here, and Go gates whose sessions may be here. Each costs a task and a connection.
pub const NANO_NODES_MAX: usize = 1_024;

/// How long a Go node may take for one call. It only puts it into a queue; one that is so slow keeps all its sessions waiting, and is given up.
pub const NANO_CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls that are out to one Go node at a time, each of another session: enough to keep both ends busy over a network.
pub const NANO_CALLS_OUT_MAX: usize = 64;

/// Calls for a Go node that are taken from its queue and wait for their turn. The queue counts bytes; this counts what it has given away.
pub const NANO_CALLS_WAITING_MAX: usize = 1_024;

/// Sessions of one Go gate that may be here.
pub const NANO_SESSIONS_MAX: usize = 1_048_576;

/// Sessions of a Go gate of which is known that they have ended. A call can overtake the end of its session by moments, not longer.
pub const NANO_ENDED_MAX: usize = 4_096;

/// How long a call of a Go gate may take in milliseconds. Its client waits for ever, its handler does not.
pub const NANO_ANSWER_TIMEOUT_MS: u32 = 30_000;

/// How long a member of a Go master waits before it registers again: as long as Go nodes do.
pub const NANO_REGISTER_PAUSE: Duration = Duration::from_secs(3);

/// How long a Go master may take to register a node: it tells all others one after another.
pub const NANO_REGISTER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the registry may take to write down a Go node.
pub const NANO_ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
