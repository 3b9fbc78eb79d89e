//! Every bound of this crate, each with its reason.

use std::num::NonZeroU64;
use std::time::Duration;

/// The longest message taken and written unless told otherwise: where etcd's reader of the message stream stops.
pub const MESSAGE_LEN_MAX_DEFAULT: usize = 512 * 1024 * 1024;

/// The longest message before a database unless told otherwise: where the newest etcd stops. It holds the membership, which takes
/// some KiB; the database comes behind it.
pub const SNAPSHOT_MESSAGE_LEN_MAX_DEFAULT: usize = 64 * 1024 * 1024;

/// The most entries of one message unless told otherwise: an etcd leader puts at most 1 MiB into one, and the shortest entry with a
/// term and an index has four bytes.
pub const ENTRIES_MAX_DEFAULT: usize = 256 * 1024;

/// The most members of one configuration unless told otherwise, all its lists together: a cluster has a handful, and twice that
/// while it changes.
pub const MEMBERS_MAX_DEFAULT: usize = 1024;

/// How deep unknown fields may nest as groups: no dialect has a group at all, and each level costs stack where they are skipped.
pub const GROUP_DEPTH_MAX: usize = 16;

/// The first buffer of what did not come in one piece; it then grows with the bytes that really came.
pub const GATHERED_LEN_START: usize = 64;

/// What is taken from a peer before it is given up on, and what is sent to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftLimits {
    /// Bytes of one message; of the entries of one append together where they come without a message around them.
    pub message_len_max: usize,
    /// Bytes of the message before a database, where that is less than `message_len_max`.
    pub snapshot_message_len_max: usize,
    /// Entries of one message or append. They bound memory that the length does not: an empty entry has two bytes on the wire and
    /// over fifty here.
    pub entries_max: usize,
    /// Members of the configuration in a message, all lists together, and steps of one change of it.
    pub members_max: usize,
}

impl RaftLimits {
    /// The defaults, for a constant.
    pub const DEFAULT: Self = Self {
        message_len_max: MESSAGE_LEN_MAX_DEFAULT,
        snapshot_message_len_max: SNAPSHOT_MESSAGE_LEN_MAX_DEFAULT,
        entries_max: ENTRIES_MAX_DEFAULT,
        members_max: MEMBERS_MAX_DEFAULT,
    };
}

impl Default for RaftLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The first pause before a peer is dialed again: etcd's.
pub const REDIAL_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause: a peer that comes back is found within it.
pub const REDIAL_PAUSE_MAX: Duration = Duration::from_secs(5);

/// URLs of one peer. Two networks and two families make four.
pub const PEER_URLS_MAX: usize = 16;

/// Bytes of one URL: the longest host name is 253.
pub const PEER_URL_LEN_MAX: usize = 512;

/// How long a socket between nodes may stand still, in either direction: etcd's.
pub const SOCKET_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of messages that are encoded for one write to a stream.
pub const WRITE_LEN: usize = 64 * 1024;

/// Data of an entry that is so long is written from where it lies; shorter data costs less to copy than a chunk of its own.
pub const SHARED_DATA_LEN_MIN: usize = 8 * 1024;

/// Bytes of a snapshot's database that are read and sent at a time.
pub const SNAPSHOT_CHUNK_LEN: usize = 64 * 1024;

/// Bytes of snapshots that this node sends each second unless told otherwise, all of them together: a full store of a gigabyte is there
/// in a quarter of a minute, and of a network of a gigabit half stays for the messages of the group. etcd's package has no such limit.
pub const SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT: NonZeroU64 = NonZeroU64::new(64 * 1024 * 1024).unwrap();

/// Bytes of a refusal that are read: it is known by its first line.
pub const REFUSAL_LEN_MAX: usize = 256;

/// Connections that peers may have to us: a member has six or so.
pub const CONNECTIONS_MAX: usize = 1024;

/// Messages that wait for one stream, and that wait for Raft from one peer: etcd's.
pub const STREAM_QUEUE_MESSAGES_MAX: usize = 4096;

/// Bytes of them: what a peer that hangs may cost.
pub const STREAM_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Messages that wait for a post: etcd's.
pub const PIPELINE_QUEUE_MESSAGES_MAX: usize = 64;

/// Posts to one peer at a time: etcd's.
pub const PIPELINE_WORKERS: usize = 4;

/// Nodes that are posted to before Raft knows them: those that join at the same time.
pub const REMOTES_MAX: usize = 16;

/// Snapshots on their way to one peer; more wait.
pub const SNAPSHOTS_MAX: usize = 2;

/// How long a dial of a peer may take: a second is long in one data centre, and an election may wait for it.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a peer may take to answer a post: long enough for a proposal that waits for a leader, and for a disk.
pub const POST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a stop waits for tasks that were told to end.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(900);

/// How long a TLS handshake may take.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a version in a header. etcd's have up to some twenty; a build of somebody's own may say more behind them.
pub const VERSION_LEN_MAX: usize = 128;

/// How far a peer's term may be ahead of ours: a hundred elections each second for over a year. A term near the end of its range
/// could not be followed by another.
pub const TERM_JUMP_MAX: u64 = 1 << 32;

/// How far a leader may have committed beyond the entries it sends: more than a log has that was not cut off.
pub const COMMIT_JUMP_MAX: u64 = 1 << 32;

/// The highest index taken: no log ever gets there, and two of them still have a sum.
pub const INDEX_MAX: u64 = 1 << 62;

/// From the end of a probe to the next: a second less than etcd leaves an idle connection open.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(4);

/// How often a peer that does not answer probes is told of, and when it is looked at first.
pub const PROBE_LOOK_INTERVAL_UNHEALTHY: Duration = Duration::from_secs(5);

/// How often one that answers is looked at.
pub const PROBE_LOOK_INTERVAL_HEALTHY: Duration = Duration::from_secs(30);

/// How far clocks may be apart without a word: leases and logs are read in seconds.
pub const CLOCK_DRIFT_MAX: Duration = Duration::from_secs(1);

/// Bytes of the answer to a probe: etcd's have some sixty, with an offset.
pub const PROBE_ANSWER_LEN_MAX: usize = 1024;

/// How many requests a rate is measured over, as etcd does.
pub const RATE_REQUESTS_MAX: usize = 200;

/// After so long without a request there is no rate.
pub const RATE_SILENCE_MAX: Duration = Duration::from_secs(1);
