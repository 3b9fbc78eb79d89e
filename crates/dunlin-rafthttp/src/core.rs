//! What a node does about its peers, decided without IO, clock or randomness: times and chances are arguments.
//!
//! - `peer.rs`: one peer: which channel a message takes, what happens when it does not fit, streams that come and go.
//!   Start here.
//! - `channel.rs`, `queue.rs`, `status.rs`, `redial.rs`, `urls.rs`: the parts of that.
//! - `admit.rs`: which messages of a peer may reach Raft.
//! - `version.rs`: who talks to whom at all, by the versions and the cluster in the headers.
//! - `probe.rs`: whether a peer answers, how fast, and what its clock says.
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
mod urls;
mod version;

pub use self::admit::{Admission, ConfigurationError, Ignored, LocalView, Refusal, Strangers, admit};
pub use self::channel::{Channel, StreamKind};
pub use self::id::{ClusterId, IdError, MemberId};
pub use self::peer::{Attached, Batch, Outcome, Peer, PeerConfig, Report, Reports, SendError};
pub use self::probe::{ProbeAnswer, ProbeAnswerError, ProbeHealth, ProbeLook, Probed, Prober};
pub use self::queue::{QueueLimits, SendQueue};
pub use self::redial::Redial;
pub use self::stats::{FollowerStats, LatencyStats, LeaderStats, ServerRole, ServerStats, ServerStatsReport};
pub use self::status::{ChannelState, PeerStatus};
pub use self::urls::{PeerUrls, UrlError};
pub use self::version::{
    CLUSTER_ID, CLUSTER_MISMATCH_BODY, INCOMPATIBLE_VERSION_BODY, Incompatible, LocalNode,
    MIN_CLUSTER_VERSION, SERVER_VERSION, ServerVersion, UnsupportedStream, VersionError, Versions,
    check_compatible, check_stream_support, min_cluster_version, server_version,
};
