//! What a node does about its peers, decided without IO, clock or randomness: times and chances are arguments.
//!
//! - `peer.rs`: one peer: which channel a message takes, what happens when it does not fit, streams that come and go.
//!   Start here.
//! - `channel.rs`, `queue.rs`, `status.rs`, `redial.rs`, `urls.rs`: the parts of that.
//! - `admit.rs`: which messages of a peer may reach Raft.
//! - `version.rs`: who talks to whom at all, by the versions and the cluster in the headers.
//! - `probe.rs`: whether a peer answers, how fast, and what its clock says.
//! - `throttle.rs`: how fast the bytes of snapshots may go.
//! - `stats.rs`: appends counted as etcd counts them.
//! - `id.rs`: members and clusters, as they stand in headers and paths.

mod admit;
mod channel;
mod id;
mod peer;
mod probe;
mod queue;
mod redial;
mod stats;
mod status;
mod throttle;
mod urls;
mod version;

pub use self::admit::{Admission, ConfigurationError, Ignored, LocalView, Refusal, Strangers, admit};
pub use self::channel::{Channel, StreamKind};
pub use self::id::{ClusterId, IdError, MemberId};
pub(crate) use self::peer::{Attached, Batch, Outcome, Peer, PeerConfig, Report, Reports};
pub use self::probe::{ProbeAnswer, ProbeAnswerError, ProbeHealth, ProbeLook};
pub(crate) use self::probe::{Probed, Prober};
pub(crate) use self::queue::{MessageQueue, QueueLimits};
pub(crate) use self::redial::Redial;
pub(crate) use self::stats::ServerStats;
pub use self::stats::{FollowerStats, LatencyStats, LeaderStats, ServerRole, ServerStatsReport};
pub use self::status::ChannelState;
pub(crate) use self::throttle::Throttle;
pub use self::urls::{PeerUrls, UrlError};
pub(crate) use self::version::{
    CLUSTER_ID, CLUSTER_MISMATCH_BODY, INCOMPATIBLE_VERSION_BODY, LocalNode, MIN_CLUSTER_VERSION,
    SERVER_VERSION, Versions, check_compatible, check_stream_support, server_version,
};
pub use self::version::{ServerVersion, UnsupportedStream, VersionError};
