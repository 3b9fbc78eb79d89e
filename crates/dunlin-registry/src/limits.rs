//! Every bound of this crate, each with its reason.

/// Bytes of a key: a path of a few names.
pub const KEY_LEN_MAX: usize = 4 * 1024;

/// Bytes of a value. A value goes into one entry of the log, and an entry into one message between members.
pub const VALUE_LEN_MAX: usize = 1024 * 1024;

/// Bytes of a store: it lies in memory, on every member.
pub const STORE_LEN_MAX: usize = 1024 * 1024 * 1024;

/// What an entry of the store costs besides its key and its value, about: two words of pointers for each and its numbers.
pub const ENTRY_OVERHEAD: usize = 128;

/// Comparisons of a transaction, and operations of each of its branches.
pub const TXN_OPERATIONS_MAX: usize = 128;

/// Leases at a time: one for each node, session and lock of a large cluster.
pub const LEASES_MAX: usize = 65_536;

/// The shortest lease in milliseconds: below it a change of leader lets everything expire.
pub const LEASE_TTL_MS_MIN: u64 = 1_000;

/// The longest lease in milliseconds: a day. What is to stay longer needs no lease.
pub const LEASE_TTL_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Clients whose last command is remembered. The one that was silent for longest is forgotten for another one.
pub const CLIENTS_MAX: usize = 16_384;

/// Bytes of an answer that is remembered for a client. A longer one is not given twice.
pub const REMEMBERED_ANSWER_LEN_MAX: usize = 16 * 1024;

/// Events that are kept for watches that are behind.
pub const HISTORY_EVENTS_MAX: usize = 100_000;

/// Bytes of keys and values in them.
pub const HISTORY_LEN_MAX: usize = 64 * 1024 * 1024;

/// Entries that one range gives unless it asks for fewer.
pub const RANGE_ENTRIES_MAX: usize = 10_000;

/// Bytes of keys and values that one range gives.
pub const RANGE_LEN_MAX: usize = 8 * 1024 * 1024;

/// Proposals of one member that are not applied yet.
pub const PROPOSALS_MAX: usize = 16_384;

/// Bytes of them.
pub const PROPOSALS_LEN_MAX: usize = 64 * 1024 * 1024;

/// Changes of members that others passed on to a leader and that wait for the one before: more than people ask for at a time.
pub const PASSED_ON_CHANGES_MAX: usize = 64;

/// Bytes of them.
pub const PASSED_ON_CHANGES_LEN_MAX: usize = 1024 * 1024;

/// How long it takes until a change is asked for again that met another one on its way.
pub const CHANGE_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Reads of one member that wait.
pub const READS_MAX: usize = 65_536;

/// How long reads wait for others, to be asked for together: less than a question takes on most networks.
pub const READS_GATHER: std::time::Duration = std::time::Duration::from_millis(1);

/// Questions of other members that a leader has not answered yet: each has one on its way, and asks again when it takes too long.
pub const READS_OF_OTHERS_MAX: usize = 256;

/// Bytes by which another member knows its question; numbers are usual.
pub const READ_OF_OTHERS_LEN_MAX: usize = 1024;

/// Entries that are committed and not applied, beyond which nothing more is proposed here.
pub const UNAPPLIED_ENTRIES_MAX: u64 = 65_536;

/// How far behind a learner may be that becomes a voter: a moment's worth of entries.
pub const PROMOTE_LAG_MAX: u64 = 1_000;

/// Inputs of a member's task that wait: messages of peers and requests. Beyond that messages are lost, and requests refused.
pub const INBOX_MAX: usize = 4_096;

/// Steps that wait to be written, and to be applied. When there are so many, the driver is not asked for more.
pub const STEPS_MAX: usize = 256;

/// Bytes of entries that are written at a time, about.
pub const GATHERED_LEN_MAX: usize = 16 * 1024 * 1024;

/// Snapshots that stay on the disk: the one in force, and one before it that may still be on its way to somebody.
pub const SNAPSHOTS_KEPT: usize = 2;

/// How often it is tried again to write what there was no room for.
pub const DISK_FULL_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// How long a stop waits for tasks that were told to end.
pub const STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a leader that stops waits until another member leads.
pub const HAND_OVER_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(500);

/// Bytes of a command: a transaction with some values of full length.
pub const COMMAND_LEN_MAX: usize = 8 * 1024 * 1024;

/// How long a request may take unless its caller says otherwise.
pub const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Events that a watch gives at a time, about.
pub const WATCH_EVENTS_MAX: usize = 1_000;

/// Connections to the HTTP routes.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;

/// How long a head, or a body, may take to come.
pub const HTTP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a request over gRPC may take at most, whatever it asks for.
pub const REQUEST_TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// How long a client waits before it asks the members again that could not answer.
pub const REMOTE_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Clients of a handle that wait for their next command: as many commands as are usually on their way at a time.
pub const NUMBERED_CLIENTS_MAX: usize = 256;

/// Nodes of a cluster: ids of sessions have ten bits for the number of the node that made them, and nodes in Go read them as signed numbers.
pub const NODE_NUMBERS_MAX: u32 = 512;

/// How often a connection to a member is asked whether it still is, while something is waited for on it, and how long it may take to say so.
pub const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(5);
